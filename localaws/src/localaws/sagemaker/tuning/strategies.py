"""Which hyperparameters a tuning job tries next."""

import itertools
from typing import Any, Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.tuning.ranges import Categories, Combination, Range, combinations

# A Bayesian search draws its first combinations blindly: a third of them, and no more than ten.
BLIND_SHARE = 3
MAX_BLIND = 10
MAX_DRAWS = 20  # of one combination, before what is left is counted through


class Strategy(Protocol):
    """Proposes combinations, and hears what came of them."""

    def propose(self) -> Combination:
        """The next combination to try: no other before was the same."""

    def conclude(self, number: int, objective: float | None) -> None:
        """What the proposal of that number, counted from 0, has reached; None if its training failed."""


def strategy_of(config: Document, ranges: tuple[Range, ...]) -> Strategy:
    """The strategy that a request's HyperParameterTuningJobConfig asks for."""
    if config["Strategy"] == "Grid":
        return Grid(ranges)
    seed = config.get("RandomSeed")
    jobs = config["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    sampler: BaseSampler = (
        RandomSampler(seed)
        if config["Strategy"] == "Random"
        else TPESampler(n_startup_trials=min(max(jobs // BLIND_SHARE, 1), MAX_BLIND), seed=seed)
    )
    return Sampled(sampler, ranges, config["HyperParameterTuningJobObjective"]["Type"] == "Maximize")


class Grid:
    """Every combination, once, in the order of the ranges."""

    def __init__(self, ranges: tuple[Range, ...]) -> None:
        names = [item.name for item in ranges]
        chosen = itertools.product(*(item.values() for item in ranges))
        self._combinations = (dict(zip(names, map(str, values), strict=True)) for values in chosen)

    def propose(self) -> Combination:
        """The next combination to try."""
        return next(self._combinations)

    def conclude(self, number: int, objective: float | None) -> None:
        """Nothing that comes depends on it."""


class Sampled:
    """Combinations that an Optuna sampler draws."""

    def __init__(self, sampler: BaseSampler, ranges: tuple[Range, ...], maximize: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ranges = ranges
        self._finite = combinations(ranges) < float("inf")
        self._distributions = {item.name: _distribution(item) for item in ranges}
        self._study = optuna.create_study(sampler=sampler, direction="maximize" if maximize else "minimize")
        self._trials: list[Trial] = []
        self._proposed: list[Combination] = []

    def propose(self) -> Combination:
        """The next combination to try."""
        for draw in itertools.count():
            if draw == MAX_DRAWS and self._finite:
                self._study.enqueue_trial(self._first_new())
            trial = self._study.ask(self._distributions)
            combination = self._combination(trial.params)
            if combination not in self._proposed:
                break
            self._study.tell(trial, state=TrialState.FAIL)
        self._trials.append(trial)
        self._proposed.append(combination)
        return combination

    def conclude(self, number: int, objective: float | None) -> None:
        """What a proposal has reached."""
        state = TrialState.FAIL if objective is None else TrialState.COMPLETE
        self._study.tell(self._trials[number], objective, state=state)

    def _first_new(self) -> dict[str, Any]:
        names = [item.name for item in self._ranges]
        every = (
            dict(zip(names, values, strict=True))
            for values in itertools.product(*(item.values() for item in self._ranges))
        )
        return next(params for params in every if self._combination(params) not in self._proposed)

    def _combination(self, params: dict[str, Any]) -> Combination:
        return {item.name: _text(item, params[item.name]) for item in self._ranges}


def _distribution(item: Range) -> BaseDistribution:
    if isinstance(item, Categories):
        return CategoricalDistribution(item.words)
    logarithmic = item.scale == "Logarithmic"
    if item.integer:
        return IntDistribution(int(item.low), int(item.high), log=logarithmic)
    if item.scale == "ReverseLogarithmic":
        return FloatDistribution(1 - item.high, 1 - item.low, log=True)
    return FloatDistribution(item.low, item.high, log=logarithmic)


def _text(item: Range, value: Any) -> str:
    if isinstance(item, Categories):
        return str(value)
    if item.scale == "ReverseLogarithmic":
        value = min(max(1 - value, item.low), item.high)
    return item.text(value)
