"""Search strategies: which hyperparameters a tuning job tries next."""

import itertools
from typing import Any, Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.tuning.ranges import Categories, Combination, Range, combinations

# A Bayesian search samples its first combinations at random: a third of all, at most ten.
RANDOM_SHARE = 3
MAX_RANDOM = 10
MAX_DRAWS = 20  # sampled duplicates per proposal before the combinations are enumerated


class Strategy(Protocol):
    """Proposes combinations and learns from their objectives."""

    def propose(self) -> Combination:
        """Return the next combination to try, different from all before."""

    def conclude(self, number: int, objective: float | None) -> None:
        """Record the objective of a proposal, numbered from 0; None if it has none."""


def strategy_of(config: Document, ranges: tuple[Range, ...]) -> Strategy:
    """Return the strategy of a request's HyperParameterTuningJobConfig."""
    if config["Strategy"] == "Grid":
        return Grid(ranges)
    seed = config.get("RandomSeed")
    jobs = config["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    sampler: BaseSampler = (
        RandomSampler(seed)
        if config["Strategy"] == "Random"
        else TPESampler(n_startup_trials=min(max(jobs // RANDOM_SHARE, 1), MAX_RANDOM), seed=seed)
    )
    return Sampled(sampler, ranges, config["HyperParameterTuningJobObjective"]["Type"] == "Maximize")


class Grid:
    """Grid search: candidates combination once, in the order of the ranges."""

    def __init__(self, ranges: tuple[Range, ...]) -> None:
        names = [item.name for item in ranges]
        product = itertools.product(*(item.values() for item in ranges))
        self._combinations = (dict(zip(names, map(str, values), strict=True)) for values in product)

    def propose(self) -> Combination:
        """Return the next combination to try."""
        return next(self._combinations)

    def conclude(self, number: int, objective: float | None) -> None:
        """Ignore the objective: the grid's order does not depend on it."""


class Sampled:
    """Random or Bayesian search with an Optuna sampler."""

    def __init__(self, sampler: BaseSampler, ranges: tuple[Range, ...], maximize: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ranges = ranges
        self._finite = combinations(ranges) < float("inf")
        self._distributions = {item.name: _distribution(item) for item in ranges}
        self._study = optuna.create_study(sampler=sampler, direction="maximize" if maximize else "minimize")
        self._trials: list[Trial] = []
        self._proposed: list[Combination] = []

    def propose(self) -> Combination:
        """Return the next combination to try."""
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
        """Report the objective to the sampler."""
        state = TrialState.FAIL if objective is None else TrialState.COMPLETE
        self._study.tell(self._trials[number], objective, state=state)

    def _first_new(self) -> dict[str, Any]:
        names = [item.name for item in self._ranges]
        candidates = (
            dict(zip(names, values, strict=True))
            for values in itertools.product(*(item.values() for item in self._ranges))
        )
        return next(params for params in candidates if self._combination(params) not in self._proposed)

    def _combination(self, params: dict[str, Any]) -> Combination:
        return {item.name: _text(item, params[item.name]) for item in self._ranges}


def _distribution(item: Range) -> BaseDistribution:
    if isinstance(item, Categories):
        return CategoricalDistribution(item.categories)
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
