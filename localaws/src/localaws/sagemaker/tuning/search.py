"""The search of one tuning job: run training jobs in parallel until a limit or criterion is reached."""

import contextlib
import threading
import time
from collections.abc import Callable

from localaws.sagemaker.api.errors import JobFailure, ServiceUnavailable, ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs.job import JobStopped
from localaws.sagemaker.jobs.training import TrainingJobs
from localaws.sagemaker.tuning import completion
from localaws.sagemaker.tuning.definition import Definition
from localaws.sagemaker.tuning.early_stopping import falls_behind
from localaws.sagemaker.tuning.ranges import Combination
from localaws.sagemaker.tuning.strategies import Strategy
from localaws.sagemaker.tuning.trials import Trial

POLL_SECONDS = 0.05
ATTEMPTS = 5  # the search fails if this many training jobs end and none has an objective


class Search:
    """Start training jobs, monitor them, and stop them all before the search ends.

    Args:
        definition: the tuning job's definition.
        strategy: proposes combinations.
        training: describes and stops training jobs.
        start: starts the training job for a number and a combination, and returns its name.
        stopping: set when the tuning job has to end.
    """

    def __init__(
        self,
        definition: Definition,
        strategy: Strategy,
        training: TrainingJobs,
        start: Callable[[int, Combination], str],
        stopping: threading.Event,
    ) -> None:
        self.trials: list[Trial] = []
        self.definition = definition
        self._running: list[Trial] = []
        self._strategy = strategy
        self._training = training
        self._start = start
        self._stopping = stopping
        limits = definition.config["ResourceLimits"]
        self._max_parallel: int = limits["MaxParallelTrainingJobs"]
        self._deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", float("inf"))

    @property
    def objectives(self) -> list[float]:
        """The objectives so far, in the order of the training jobs' ends."""
        evaluated = [trial for trial in self.trials if trial.value is not None]
        evaluated.sort(key=lambda trial: trial.record["TrainingEndTime"])
        return [trial.value for trial in evaluated if trial.value is not None]

    def run(self) -> None:
        """Search until a limit is reached, a criterion is met or the job is stopped.

        Raises:
            JobFailure: no training job has an objective.
            JobStopped: the server is shutting down.
        """
        try:
            while not self._is_complete():
                self._start_trials()
                self._stopping.wait(POLL_SECONDS)
                self._update_trials()
        except ServiceUnavailable as shutdown:
            raise JobStopped from shutdown
        finally:
            self._stop_trials()
        if not self._stopping.is_set() and not self.objectives:
            raise JobFailure(self._failure())

    def _is_complete(self) -> bool:
        criteria: Document = self.definition.config.get("TuningJobCompletionCriteria", {})
        return (
            self._stopping.is_set()
            or time.monotonic() > self._deadline
            or (self._remaining() == 0 and not self._running)
            or completion.is_met(criteria, self.objectives, self.definition.maximize)
        )

    def _remaining(self) -> int:
        hopeless = len(self.trials) - len(self._running) >= ATTEMPTS and not self.objectives
        return 0 if hopeless else self.definition.max_jobs - len(self.trials)

    def _start_trials(self) -> None:
        while len(self._running) < self._max_parallel and self._remaining() and not self._stopping.is_set():
            number, combination = len(self.trials), self._strategy.propose()
            record = self._describe(self._start(number, combination))
            trial = Trial(number, self.definition, combination, record)
            self._running.append(trial)
            self.trials.append(trial)

    def _update_trials(self) -> None:
        for trial in list(self._running):
            trial.record = self._describe(trial.name)
            if trial.ended:
                self._running.remove(trial)
                self._strategy.conclude(trial.number, trial.value)
            elif self._is_stopped_early(trial):
                self._stop(trial)

    def _is_stopped_early(self, trial: Trial) -> bool:
        if trial.stopped or self.definition.config.get("TrainingJobEarlyStoppingType") != "Auto":
            return False
        previous = [other.values for other in self.trials if other.ended]
        return falls_behind(trial.values, previous, self.definition.maximize)

    def _stop_trials(self) -> None:
        for trial in self._running:
            if not trial.stopped:
                self._stop(trial)
        while self._running:
            time.sleep(POLL_SECONDS)
            self._update_trials()

    def _stop(self, trial: Trial) -> None:
        trial.stopped = True
        with contextlib.suppress(ValidationException):  # the job has ended meanwhile
            self._training.stop({"TrainingJobName": trial.name})

    def _describe(self, name: str) -> Document:
        return self._training.describe({"TrainingJobName": name})

    def _failure(self) -> str:
        attempts = len(self.trials)
        if any(trial.status == "Completed" for trial in self.trials):
            return (
                f"No objective metrics found after running {attempts} training jobs. Please ensure that the "
                "custom algorithm is emitting the objective metric as defined by the regular expression "
                "provided."
            )
        return (
            f"No training job succeeded after {attempts} attempts. Please take a look at the training job "
            "failures to get more details."
        )
