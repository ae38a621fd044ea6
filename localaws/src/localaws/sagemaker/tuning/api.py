"""The API operations on tuning jobs."""

import math
from datetime import datetime
from typing import Any

from localaws.sagemaker.api.members import refusing_others
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs.job import ENDED, Job, Lifecycle
from localaws.sagemaker.jobs.training import TrainingJobs
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import list_page, now, page
from localaws.sagemaker.platform.tags import Tags
from localaws.sagemaker.tuning.completion import not_improving
from localaws.sagemaker.tuning.definition import (
    CONFIG,
    DEFINITION,
    TRAINING_MEMBERS,
    TUNING_RESOURCES,
    Definition,
)
from localaws.sagemaker.tuning.ranges import Combination
from localaws.sagemaker.tuning.search import Search
from localaws.sagemaker.tuning.trials import Trial, best, counters

_NAME = "HyperParameterTuningJobName"
_PAGE = ("SortBy", "SortOrder", "StatusEquals", "NextToken", "MaxResults")
# The supported members per operation; all others are rejected.
HANDLED = {
    "CreateHyperParameterTuningJob": (
        _NAME,
        "Tags",
        f"{CONFIG}.Strategy",
        f"{CONFIG}.HyperParameterTuningJobObjective",
        f"{CONFIG}.ResourceLimits",
        f"{CONFIG}.ParameterRanges.IntegerParameterRanges",
        f"{CONFIG}.ParameterRanges.ContinuousParameterRanges",
        f"{CONFIG}.ParameterRanges.CategoricalParameterRanges",
        f"{CONFIG}.TrainingJobEarlyStoppingType",
        f"{CONFIG}.TuningJobCompletionCriteria",
        f"{CONFIG}.RandomSeed",
        f"{DEFINITION}.DefinitionName",
        f"{DEFINITION}.StaticHyperParameters",
        f"{DEFINITION}.{TUNING_RESOURCES}",
        *(f"{DEFINITION}.{member}" for member in TRAINING_MEMBERS),
    ),
    "DescribeHyperParameterTuningJob": (_NAME,),
    "ListHyperParameterTuningJobs": (
        *_PAGE,
        "NameContains",
        "CreationTimeAfter",
        "CreationTimeBefore",
        "LastModifiedTimeAfter",
        "LastModifiedTimeBefore",
    ),
    "StopHyperParameterTuningJob": (_NAME,),
    "DeleteHyperParameterTuningJob": (_NAME,),
    "ListTrainingJobsForHyperParameterTuningJob": (*_PAGE, _NAME),
}
_BY_NAME = {"SortBy": "Name", "SortOrder": "Ascending"}  # SageMaker's default for both lists


class TuningJobs(Lifecycle):
    """Tuning jobs; each runs training jobs with the role of its training job definition."""

    kind = "HyperParameterTuningJob"
    arn_kind = "hyper-parameter-tuning-job"

    def __init__(self, platform: Platform, training: TrainingJobs, tags: Tags) -> None:
        super().__init__(platform)
        self._training = training
        self._create_training = tags.wrap_operations(training.operations())["CreateTrainingJob"]

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this resource, by name."""
        operations = super().operations() | {
            "DeleteHyperParameterTuningJob": self.delete,
            "ListTrainingJobsForHyperParameterTuningJob": self.list_training_jobs,
        }
        return refusing_others(operations, HANDLED, {})

    def check(self, request: Document) -> str:
        """Validate the request and its training jobs' requests; return the training jobs' role."""
        definition = Definition(request)
        sample = {item.name: "0" for item in definition.ranges}
        return self._training.check(definition.training_request(0, sample))

    def describe(self, request: Document) -> Document:
        """Return a tuning job's record with counters and the best training job."""
        return _description(super().describe(request))

    def list(self, request: Document) -> Document:
        """Return a page of tuning jobs, filtered by name, status and time."""
        records = map(_description, self.records)
        return list_page("ListHyperParameterTuningJobs", records, _BY_NAME | request, self.kind)

    def list_training_jobs(self, request: Document) -> Document:
        """Return a page of the training jobs that a tuning job has started."""
        request = _BY_NAME | request
        trials = _trials(super().describe(request))
        status = request.get("StatusEquals")
        trials = [trial for trial in trials if status in (None, trial.status)]
        if request["SortBy"] == "FinalObjectiveMetricValue":
            trials = [trial for trial in trials if trial.value is not None]
        # Among equal values the first trial stays first in both orders, as for BestTrainingJob.
        trials.sort(
            key=lambda trial: _sort_key(trial, request["SortBy"]),
            reverse=request["SortOrder"] == "Descending",
        )
        return page("TrainingJobSummaries", [trial.summary() for trial in trials], request)

    def status_members(self, status: str, record: Document) -> Document:
        """Return HyperParameterTuningEndTime when the job has ended."""
        return {"HyperParameterTuningEndTime": now()} if status in ENDED else {}

    def perform(self, job: Job) -> None:
        """Run the search until its end."""
        # Imported late: Optuna takes half a second and memory, which other jobs should not cost.
        from localaws.sagemaker.tuning.strategies import strategy_of

        definition = Definition(job.request)

        def start(number: int, combination: Combination) -> str:
            request = definition.training_request(number, combination)
            self._create_training(request | {"TuningJobArn": job.arn})
            return str(request["TrainingJobName"])

        strategy = strategy_of(definition.config, definition.ranges)
        search = Search(definition, strategy, self._training, start, job.stopping)
        self.records.update(job.name, _Search=search)
        search.run()


def _trials(record: Document) -> list[Trial]:
    return list(record["_Search"].trials) if "_Search" in record else []


def _description(record: Document) -> Document:
    """Return a tuning job's record with the counters and results of its trials."""
    trials = _trials(record)
    config = record[CONFIG]
    description = (
        record
        | counters(trials)
        | {
            "Strategy": config["Strategy"],
            "ResourceLimits": config["ResourceLimits"],
            "ConsumedResources": {"RuntimeInSeconds": _runtime_seconds(record)},
        }
    )
    if trials:
        search: Search = record["_Search"]
        maximize = search.definition.maximize
        description["TuningJobCompletionDetails"] = {
            "NumberOfTrainingJobsObjectiveNotImproving": not_improving(search.objectives, maximize)
        }
        if winner := best(trials, maximize):
            description["BestTrainingJob"] = winner.summary()
    return description


def _runtime_seconds(record: Document) -> int:
    end: datetime = record.get("HyperParameterTuningEndTime", now())
    created: datetime = record["CreationTime"]
    return math.ceil((end - created).total_seconds())


def _sort_key(trial: Trial, by: str) -> Any:
    keys = {"Status": trial.status, "CreationTime": (trial.record["CreationTime"], trial.number)}
    return trial.value if by == "FinalObjectiveMetricValue" else keys.get(by, trial.name)
