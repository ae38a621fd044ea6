"""The training jobs that a tuning job has started."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs.job import ENDED
from localaws.sagemaker.tuning.definition import Definition
from localaws.sagemaker.tuning.ranges import Combination

_SUMMARIZED = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "FailureReason",
)
_COUNTED = {
    "InProgress": "InProgress",
    "Stopping": "InProgress",
    "Completed": "Completed",
    "Stopped": "Stopped",
    "Failed": "NonRetryableError",
}


@dataclass
class Trial:
    """A training job of a tuning job.

    Attributes:
        number: the trial's number in its tuning job, from 0.
        definition: the tuning job's definition.
        combination: the tuned hyperparameters.
        record: the training job's record at the last update.
        stopped: whether the tuning job has stopped it.
    """

    number: int
    definition: Definition
    combination: Combination
    record: Document
    stopped: bool = False

    @property
    def name(self) -> str:
        """The training job's name."""
        return str(self.record["TrainingJobName"])

    @property
    def status(self) -> str:
        """The training job's status."""
        return str(self.record["TrainingJobStatus"])

    @property
    def ended(self) -> bool:
        """Whether the training job has ended."""
        return self.status in ENDED

    @property
    def values(self) -> list[float]:
        """The objective's values so far, one per epoch."""
        metrics = self.record.get("_Metrics")
        return metrics.values(self.definition.objective["MetricName"]) if metrics else []

    @property
    def value(self) -> float | None:
        """The final objective, the last value of a job that ended without failure; None before."""
        if not self.ended or self.status == "Failed":
            return None
        return next(
            (
                float(metric["Value"])
                for metric in self.record.get("FinalMetricDataList", [])
                if metric["MetricName"] == self.definition.objective["MetricName"]
            ),
            None,
        )

    @property
    def objective_status(self) -> str:
        """The ObjectiveStatus: Succeeded, Pending or Failed."""
        if not self.ended:
            return "Pending"
        return "Failed" if self.value is None else "Succeeded"

    def summary(self) -> Document:
        """Return the trial as a TrainingJobSummary of the API."""
        summary = {member: self.record[member] for member in _SUMMARIZED if member in self.record}
        summary |= {"TunedHyperParameters": self.combination, "ObjectiveStatus": self.objective_status}
        if "DefinitionName" in self.definition.training:
            summary["TrainingJobDefinitionName"] = self.definition.training["DefinitionName"]
        if self.value is not None:
            summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
                **self.definition.objective,
                "Value": self.value,
            }
        return summary


def best(trials: Iterable[Trial], maximize: bool) -> Trial | None:
    """Return the completed trial with the best objective; the first one of equals."""
    evaluated = [trial for trial in trials if trial.status == "Completed" and trial.value is not None]
    sign = -1 if maximize else 1
    return min(evaluated, key=lambda trial: sign * (trial.value or 0.0), default=None)


def counters(trials: Sequence[Trial]) -> Document:
    """Return the tuning job's members with the numbers of trials per status."""
    statuses = Counter(_COUNTED[trial.status] for trial in trials)
    objectives = Counter(trial.objective_status for trial in trials)
    kinds = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
    return {
        "TrainingJobStatusCounters": {kind: statuses[kind] for kind in kinds},
        "ObjectiveStatusCounters": {kind: objectives[kind] for kind in ("Succeeded", "Pending", "Failed")},
    }
