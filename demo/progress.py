"""The progress of a run: the workflow's states, the pipeline's steps and both endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from demo.details import Details, Training
from demo.history import History, new_events, utc_now
from demo.stack import Clients, Stack

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef


class Outcome(StrEnum):
    """The outcome of an execution, in more detail than its status."""

    RUNNING = "running"
    DEPLOYED = "deployed"
    REJECTED = "rejected"
    FAILED = "failed"
    ALREADY_RUNNING = "already running"
    NOTHING_NEW = "nothing new"
    SET_ASIDE = "files set aside"


# The workflow's Succeed states.
ENDS = {
    "Deployed": Outcome.DEPLOYED,
    "Rejected": Outcome.REJECTED,
    "NothingNew": Outcome.NOTHING_NEW,
    "SetAside": Outcome.SET_ASIDE,
    "AlreadyRunning": Outcome.ALREADY_RUNNING,
}


@dataclass(frozen=True)
class Step:
    """A step of the pipeline."""

    name: str
    kind: str
    status: str
    started: datetime | None
    ended: datetime | None
    reason: str
    note: str = ""

    def duration(self, now: datetime) -> float:
        """Return the duration in seconds, up to `now` for a step in progress."""
        return max(0.0, ((self.ended or now) - self.started).total_seconds()) if self.started else 0.0


@dataclass
class Progress:
    """The state of an execution at the last `refresh`."""

    execution: str
    status: str = "RUNNING"
    started: datetime | None = None
    stopped: datetime | None = None
    error: str = ""
    cause: str = ""
    history: History = field(default_factory=History)
    steps: list[Step] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    endpoints: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The execution's name, the last part of its ARN."""
        return self.execution.rpartition(":")[2]

    @property
    def elapsed(self) -> float:
        """The seconds since the start, or from start to stop."""
        return ((self.stopped or utc_now()) - self.started).total_seconds() if self.started else 0.0

    @property
    def outcome(self) -> Outcome:
        """The branch that the execution took."""
        return outcome(self.status, self.history.states)


def outcome(status: str, states: Mapping[str, object]) -> Outcome:
    """Return the outcome; an execution with status SUCCEEDED can have several, such as a rejected model."""
    if status == "RUNNING":
        return Outcome.RUNNING
    ends = [end for name, end in ENDS.items() if name in states]
    return ends[0] if status == "SUCCEEDED" and ends else Outcome.FAILED


def refresh(clients: Clients, stack: Stack, progress: Progress, details: Details) -> None:
    """Update the progress; the status is read first, so that the data of an ended run is complete."""
    found = clients.sfn.describe_execution(executionArn=progress.execution)
    progress.started, progress.stopped = found["startDate"], found.get("stopDate")
    progress.error, progress.cause = found.get("error", ""), found.get("cause", "")
    progress.history.add(new_events(clients.sfn, progress.execution, progress.history.last_id))
    if pipeline := progress.history.pipeline_execution:
        found_steps = list_steps(clients, pipeline)
        progress.trainings = [each for step in found_steps for each in details.trainings(step)]
        progress.steps = [_step(step, details, progress.trainings) for step in found_steps]
    progress.endpoints = {
        name: endpoint_status(clients, name) for name in (stack.real_time, stack.asynchronous)
    }
    if found["status"] != "RUNNING":
        progress.history.end(progress.stopped or utc_now(), found["status"] == "SUCCEEDED")
    progress.status = found["status"]


def list_steps(clients: Clients, pipeline_execution: str) -> list[PipelineExecutionStepTypeDef]:
    """List the pipeline execution's steps, in the order of their start."""
    pages = clients.sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=pipeline_execution, SortOrder="Ascending"
    )
    return [each for page in pages for each in page["PipelineExecutionSteps"]]


def endpoint_status(clients: Clients, name: str) -> str:
    """Return the endpoint's status; `none` while it does not exist."""
    try:
        return clients.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            return "none"
        raise


def search_note(trainings: Sequence[Training]) -> str:
    """Return how many trainings of a search have reported their objective, and the best value."""
    values = [each.objective for each in trainings if each.objective is not None]
    best = f", best {max(values):.4f}" if values else ""
    return f"{len(values)} of {len(trainings)}{best}"


def _step(found: PipelineExecutionStepTypeDef, details: Details, trainings: Sequence[Training]) -> Step:
    kind = next(iter(found.get("Metadata") or {}), "").removesuffix("Job")
    return Step(
        name=found["StepName"],
        kind=kind,
        status=found["StepStatus"],
        started=found.get("StartTime"),
        ended=found.get("EndTime"),
        reason=found.get("FailureReason", ""),
        note=search_note(trainings) if kind == "Tuning" and trainings else details.note(found),
    )
