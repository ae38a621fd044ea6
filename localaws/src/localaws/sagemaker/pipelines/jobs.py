"""Steps that run through SageMaker's API: jobs, models and model packages."""

from __future__ import annotations

import secrets
import string
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import botocore.exceptions
from botocore import xform_name

from localaws.sagemaker.api.errors import SageMakerError
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines.errors import StepFailed, StepStopped
from localaws.sagemaker.pipelines.retrying import (
    CAPACITY_ERROR,
    JOB_INTERNAL_ERROR,
    RESOURCE_LIMIT,
    SERVICE_FAULT,
    THROTTLING,
)
from localaws.sagemaker.pipelines.steps import LIST_TUNED_JOBS, STEP_TYPES, TUNED_JOBS, Step, StepType
from localaws.sagemaker.platform.notifier import Notifier

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_sagemaker import SageMakerClient

SUFFIX_CHARACTERS = 10
POLL_SECONDS = 2.0  # interval between two Describe calls without a notification
MAX_TUNED_JOBS = 50  # number of a tuning step's jobs that SageMaker keeps for references
_FAULTS = {"InternalServerError": JOB_INTERNAL_ERROR, "CapacityError": CAPACITY_ERROR}
_THROTTLED = ("ThrottlingException", "TooManyRequestsException")


def random_id(length: int = 12) -> str:
    """Return a random string of lowercase letters and digits, like SageMaker's execution ids."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))


def job_name(step_type: StepType, execution_id: str, step: str, prefix: str | None) -> str:
    """Generate the name of a step's job.

    Args:
        step_type: the step's type, which limits the length.
        execution_id: id of the execution.
        step: the step's name.
        prefix: the name in the step's arguments, if any; the generated name starts with it.
    """
    if prefix:
        stem = f"{prefix}-{execution_id}"
    elif step_type.name_characters < 63:
        stem = f"{execution_id}-{step}"
    else:
        stem = f"pipelines-{execution_id}-{step}"
    room = step_type.name_characters - SUFFIX_CHARACTERS - 1
    return f"{stem.replace('_', '-')[:room]}-{random_id(SUFFIX_CHARACTERS)}"


class ApiStep:
    """One run of a step through the API, with the pipeline's role.

    Args:
        step: the step.
        execution_id: id of the execution.
        client: returns a client with current credentials of the pipeline's role.
        stopping: set when the execution has to end.
        notifier: notifies when `stopping` is set and when a job has ended.
    """

    def __init__(
        self,
        step: Step,
        execution_id: str,
        client: Callable[[], SageMakerClient],
        stopping: threading.Event,
        notifier: Notifier,
    ) -> None:
        self._step = step
        self._type = STEP_TYPES[step.type]
        self._execution_id = execution_id
        self._client = client
        self._stopping = stopping
        self._notifier = notifier
        self._identifier = ""

    def create(self, arguments: Document) -> Document:
        """Create the job or resource and return the step's Metadata.

        Raises:
            StepFailed: Create failed.
        """
        arguments = dict(arguments)
        if name_member := self._type.name_member:
            prefix = arguments.get(name_member)
            arguments[name_member] = job_name(self._type, self._execution_id, self._step.name, prefix)
        response = self._call(f"Create{self._type.kind}", arguments)
        arn: str = response[self._type.arn_member]
        self._identifier = arguments[name_member] if name_member else arn
        return {self._type.metadata: {"Arn": arn}}

    def result(self, with_tuned_jobs: bool) -> Document:
        """Wait for the created job and return its description.

        Args:
            with_tuned_jobs: whether to add the tuning job's training jobs as TrainingJobSummaries.

        Raises:
            StepFailed: the job failed, or was stopped by another caller.
            StepStopped: the job was stopped with the execution.
        """
        request = {self._type.describe_member: self._identifier}
        stop_requested = False
        while True:
            seen = self._notifier.count
            described = self._call(f"Describe{self._type.kind}", request)
            if not self._type.is_job or self._has_completed(described):
                break
            if self._stopping.is_set() and not stop_requested:
                self._request_stop(request)
                stop_requested = True
            self._notifier.wait(seen, POLL_SECONDS)
        if with_tuned_jobs:
            return described | {TUNED_JOBS: self._tuned_jobs(described)}
        return described

    def _has_completed(self, described: Document) -> bool:
        match described[self._type.status_member]:
            case "Completed":
                return True
            case "Failed":
                reason = described.get("FailureReason", "the job failed")
                raise StepFailed(f"ClientError: {reason}", _FAULTS.get(reason.partition(":")[0], ""))
            case "Stopped" if self._stopping.is_set():
                raise StepStopped
            case "Stopped":
                raise StepFailed(f"ClientError: The {self._type.kind} {self._identifier} was stopped")
        return False

    def _tuned_jobs(self, described: Document) -> list[Document]:
        """Return the tuning job's training jobs, best objective first."""
        config: Document = described["HyperParameterTuningJobConfig"]
        objective: Document = config.get("HyperParameterTuningJobObjective", {})
        order = "Ascending" if objective.get("Type") == "Minimize" else "Descending"
        request = {
            self._type.describe_member: self._identifier,
            "SortBy": "FinalObjectiveMetricValue",
            "SortOrder": order,
            "MaxResults": MAX_TUNED_JOBS,
        }
        jobs: list[Document] = self._call(LIST_TUNED_JOBS, request)[TUNED_JOBS]
        return jobs

    def _request_stop(self, request: Document) -> None:
        try:
            self._call(f"Stop{self._type.kind}", request)
        except StepFailed as failure:
            # Stop fails with ValidationException for a job that has just ended; Describe has its status.
            if _error_code(failure.__cause__) != "ValidationException":
                raise

    def _call(self, operation: str, arguments: Document) -> Document:
        try:
            response: Document = getattr(self._client(), xform_name(operation))(**arguments)
        except (
            botocore.exceptions.ClientError,
            botocore.exceptions.BotoCoreError,
            SageMakerError,
        ) as error:
            detail = f"Failed to invoke sagemaker:{operation}. Error Details: {error}"
            raise StepFailed(f"ClientError: {detail}", _fault(error)) from error
        return response


def _error_code(error: BaseException | None) -> str:
    if not isinstance(error, botocore.exceptions.ClientError):
        return ""
    return error.response["Error"]["Code"]


def _fault(error: Exception) -> str:
    """Return the exception type of an API error in retry policies; "" if none applies."""
    match error:
        case botocore.exceptions.ParamValidationError():
            return ""
        case botocore.exceptions.BotoCoreError():
            return SERVICE_FAULT
        case botocore.exceptions.ClientError() if _error_code(error) in _THROTTLED:
            return THROTTLING
        case botocore.exceptions.ClientError() if _error_code(error) == "ResourceLimitExceeded":
            return RESOURCE_LIMIT
        case botocore.exceptions.ClientError():
            status: Any = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return SERVICE_FAULT if status >= 500 else ""
    return ""
