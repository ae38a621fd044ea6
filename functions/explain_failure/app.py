"""Explain a failure: which step failed, why, and which raw files are to blame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, ValidationError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef

logger = Logger(service="explain_failure")
tracer = Tracer(service="explain_failure")
metrics = Metrics(namespace="Retrain", service="explain_failure")

RAW = "raw/"
MAX_CAUSE = 8192  # characters; a Fail state takes 32,768, an e-mail's reader less


class Failure(BaseModel):
    """What a Catch of the workflow caught."""

    error: str = Field(default="", alias="Error")
    cause: str = Field(default="", alias="Cause")


class Request(BaseModel):
    """A failure, and the pipeline execution if one was started."""

    failure: Failure
    pipeline_execution_arn: str | None = Field(default=None, alias="pipelineExecutionArn")


class LambdaCause(BaseModel):
    """The cause of an error that a function raised."""

    message: str = Field(alias="errorMessage")
    type: str = Field(default="", alias="errorType")


class RejectedFile(BaseModel):
    """A raw file that could not be read, relative to the job's input folder."""

    file: str
    reason: str


class ExitMessage(BaseModel):
    """What the command `prepare` leaves when files cannot be read; `more` did not fit in."""

    rejected: list[RejectedFile]
    more: int = 0

    def __str__(self) -> str:
        files = "; ".join(f"{RAW}{item.file}: {item.reason}" for item in self.rejected)
        if not files:
            return f"unreadable files under {RAW}: {self.more}; the job's log names them"
        return f"{files} (and {self.more} more)" if self.more else files


class Explanation(NamedTuple):
    """What the workflow notifies of and fails with."""

    error: str
    cause: str
    rejected: list[dict[str, str]]


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers error, cause and rejected files; asks the pipeline first, since it knows most."""
    request = parse(event=event, model=Request)
    explanation = None
    if request.pipeline_execution_arn:
        explanation = explain_pipeline(boto3.client("sagemaker"), request.pipeline_execution_arn)
    explanation = explanation or explain_error(request.failure)
    answer = explanation._replace(cause=shorten(explanation.cause))._asdict()
    metrics.add_metric("Failures", MetricUnit.Count, 1)
    logger.info("explained", extra=answer)
    return answer


def explain_pipeline(sagemaker: SageMakerClient, arn: str) -> Explanation | None:
    """The first failed step, or the execution's own failure; None if the pipeline did not fail."""
    failed = [step for step in execution_steps(sagemaker, arn) if step.get("StepStatus") == "Failed"]
    if failed:
        return explain_step(sagemaker, min(failed, key=when_ended))
    execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    status = execution.get("PipelineExecutionStatus")
    reason = execution.get("FailureReason", "")
    if status in ("Stopping", "Stopped"):
        return Explanation("Pipeline.Stopped", join(f"Pipeline execution {arn} was stopped", reason), [])
    if status == "Failed" or reason:
        return Explanation("Pipeline.Failed", join(f"Pipeline execution {arn} failed", reason), [])
    return None


def explain_step(sagemaker: SageMakerClient, step: PipelineExecutionStepTypeDef) -> Explanation:
    """The step's name and reason; a processing job's exit message tells more than the reason."""
    name, reason = step["StepName"], step.get("FailureReason", "")
    error, failed = f"{name}.Failed", f"Pipeline step {name} failed"
    job = step.get("Metadata", {}).get("ProcessingJob", {}).get("Arn")
    exit_message = read_exit_message(sagemaker, job) if job else ""
    try:
        message = ExitMessage.model_validate_json(exit_message)
    except ValidationError:
        message = ExitMessage(rejected=[])
    if not (message.rejected or message.more):
        return Explanation(error, join(failed, exit_message or reason), [])
    rejected = [{"key": RAW + item.file, "reason": item.reason} for item in message.rejected]
    return Explanation(error, join(failed, str(message)), rejected)


def explain_error(failure: Failure) -> Explanation:
    """An error of the workflow itself; a function's cause is a JSON object with a stack trace."""
    error = failure.error or "Workflow.Failed"
    try:
        raised = LambdaCause.model_validate_json(failure.cause)
    except ValidationError:
        return Explanation(error, failure.cause or f"{error}: no cause was given", [])
    return Explanation(error, f"{raised.type or error}: {raised.message}", [])


def execution_steps(sagemaker: SageMakerClient, arn: str) -> Iterator[PipelineExecutionStepTypeDef]:
    """Every step of the execution that has started."""
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(PipelineExecutionArn=arn)
    for page in pages:
        yield from page["PipelineExecutionSteps"]


def read_exit_message(sagemaker: SageMakerClient, job_arn: str) -> str:
    """What the processing job wrote to /opt/ml/output/message."""
    job = sagemaker.describe_processing_job(ProcessingJobName=job_arn.rpartition("/")[2])
    return job.get("ExitMessage", "").strip()


def when_ended(step: PipelineExecutionStepTypeDef) -> float:
    """For ordering: a step without an end comes last."""
    return step["EndTime"].timestamp() if "EndTime" in step else float("inf")


def join(what: str, reason: str) -> str:
    """`what: reason`, or `what` if there is none."""
    return f"{what}: {reason}" if reason else what


def shorten(cause: str) -> str:
    """Keeps the head, where the reason stands."""
    return cause if len(cause) <= MAX_CAUSE else cause[: MAX_CAUSE - 1] + "…"
