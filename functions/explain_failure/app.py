"""Explain a failure: which step failed, why, and whether a retry may succeed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, ValidationError

from shared.documents import Document
from shared.steps import job_name, list_steps, processing_job_arn

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef

logger = Logger(service="explain_failure")
tracer = Tracer(service="explain_failure")
metrics = Metrics(namespace="Retrain", service="explain_failure")

RAW = "raw/"
MAX_CAUSE = 8192  # characters; a Fail state takes 32,768, an e-mail's reader less
# AWS's own errors, as a job's failure reason or in the error of a step's call. A step puts "ClientError: "
# before its job's reason, and "AlgorithmError: " if the container failed.
JOB_FAULT = re.compile(r"(ClientError: )?(InternalServerError|CapacityError|ThrottlingException)\b")
CALL_FAULT = re.compile(
    r"Failed to invoke sagemaker:\w+\b.*\b("
    r"InternalServerError|InternalFailure|InternalServerException|ServiceUnavailable(Exception)?"
    r"|ThrottlingException|Throttling|TooManyRequestsException|Rate exceeded)\b",
    re.DOTALL,
)


class Failure(BaseModel):
    """What a Catch of the workflow caught."""

    error: str = Field(default="", alias="Error")
    cause: str = Field(default="", alias="Cause")


class Request(Document):
    """A failure, and the pipeline execution if one was started."""

    failure: Failure
    pipeline_execution_arn: str | None = None


class LambdaCause(BaseModel):
    """The cause of an error that a Lambda function raised."""

    message: str = Field(alias="errorMessage")
    type: str = Field(default="", alias="errorType")


class RefusedFile(BaseModel):
    """A raw file that could not be read."""

    file: str
    reason: str


class ExitMessage(BaseModel):
    """The exit message of a processing command: an error, or refused files; `more` did not fit."""

    error: str = ""
    refused: list[RefusedFile] = Field(default=[], alias="rejected")
    more: int = 0

    def __str__(self) -> str:
        files = "; ".join(f"{RAW}{item.file.removeprefix(RAW)}: {item.reason}" for item in self.refused)
        if files:
            return f"{files} (and {self.more} more)" if self.more else files
        if self.more:
            return f"unreadable files under {RAW}: {self.more}; the job's log names them"
        return self.error


class Explanation(NamedTuple):
    """What the workflow reports and ends with; `retriable` means that AWS failed, not the run."""

    error: str
    cause: str
    status: Literal["FAILED", "REJECTED"] = "FAILED"
    retriable: bool = False


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return status, error and cause; the pipeline's own explanation has precedence."""
    request = parse(event=event, model=Request)
    explanation = None
    if request.pipeline_execution_arn:
        explanation = explain_pipeline(boto3.client("sagemaker"), request.pipeline_execution_arn)
    explanation = explanation or explain_error(request.failure)
    answer = explanation._replace(cause=shorten(explanation.cause))._asdict()
    metrics.add_metric("Failures", MetricUnit.Count, int(explanation.status == "FAILED"))
    logger.info("explained", extra=answer)
    return answer


def explain_pipeline(sagemaker: SageMakerClient, arn: str) -> Explanation | None:
    """Explain a verdict, the first failed step or the execution's failure; None if it did not fail."""
    failed = failed_steps(sagemaker, arn)
    for step in failed:
        if "Fail" in step.get("Metadata", {}):
            return explain_verdict(step)
    if failed:
        return explain_step(sagemaker, min(failed, key=when_ended))
    execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    status = execution.get("PipelineExecutionStatus")
    reason = execution.get("FailureReason", "")
    if status in ("Stopping", "Stopped"):
        return Explanation("Pipeline.Stopped", join(f"Pipeline execution {arn} was stopped", reason))
    if status == "Failed" or reason:
        return Explanation("Pipeline.Failed", join(f"Pipeline execution {arn} failed", reason))
    return None


def explain_verdict(step: PipelineExecutionStepTypeDef) -> Explanation:
    """Explain a step of type Fail: the pipeline itself rejects the model and says why."""
    name = step["StepName"]
    message = step["Metadata"]["Fail"].get("ErrorMessage") or step.get("FailureReason", "")
    return Explanation(name, message or f"Pipeline step {name} refused the model", status="REJECTED")


def explain_step(sagemaker: SageMakerClient, step: PipelineExecutionStepTypeDef) -> Explanation:
    """Explain a failed step; a processing job's exit message says more than its failure reason."""
    name, reason = step["StepName"], step.get("FailureReason", "")
    job = processing_job_arn(step)
    exit_message = read_exit_message(sagemaker, job) if job else ""
    cause = join(f"Pipeline step {name} failed", exit_message or reason)
    return Explanation(f"{name}.Failed", cause, retriable=is_platforms_fault(reason))


def is_platforms_fault(reason: str) -> bool:
    """Return whether the same request may succeed later."""
    return bool(JOB_FAULT.match(reason) or CALL_FAULT.search(reason))


def explain_error(failure: Failure) -> Explanation:
    """Explain an error of the workflow; the cause of a function's error is JSON with a stack trace."""
    error = failure.error or "Workflow.Failed"
    try:
        raised = LambdaCause.model_validate_json(failure.cause)
    except ValidationError:
        return Explanation(error, failure.cause or f"{error}: without a cause")
    return Explanation(error, f"{raised.type or error}: {raised.message}")


def failed_steps(sagemaker: SageMakerClient, arn: str) -> list[PipelineExecutionStepTypeDef]:
    """Return every step of the execution that failed."""
    return [step for step in list_steps(sagemaker, arn) if step.get("StepStatus") == "Failed"]


def read_exit_message(sagemaker: SageMakerClient, job_arn: str) -> str:
    """Return as text what the processing job wrote to /opt/ml/output/message."""
    job = sagemaker.describe_processing_job(ProcessingJobName=job_name(job_arn))
    message = job.get("ExitMessage", "").strip()
    try:
        return str(ExitMessage.model_validate_json(message)) or message
    except ValidationError:
        return message


def when_ended(step: PipelineExecutionStepTypeDef) -> float:
    """Return the step's end for sorting; a step without an end comes last."""
    return step["EndTime"].timestamp() if "EndTime" in step else float("inf")


def join(what: str, reason: str) -> str:
    """Return `what: reason`, or `what` without a reason."""
    return f"{what}: {reason}" if reason else what


def shorten(cause: str) -> str:
    """Cut the cause at its end; the reason is at its beginning."""
    return cause if len(cause) <= MAX_CAUSE else cause[: MAX_CAUSE - 1] + "…"
