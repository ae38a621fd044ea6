"""The steps of a pipeline execution, and the processing jobs that they ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import (
        DescribeProcessingJobResponseTypeDef,
        PipelineExecutionStepTypeDef,
    )


def list_steps(sagemaker: SageMakerClient, execution_arn: str) -> list[PipelineExecutionStepTypeDef]:
    """Return every step of the execution that has started, in the order of their start."""
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=execution_arn, SortOrder="Ascending"
    )
    return [step for page in pages for step in page["PipelineExecutionSteps"]]


def processing_job_arn(step: PipelineExecutionStepTypeDef) -> str | None:
    """Return the ARN of the step's processing job, or None if it ran none."""
    return step.get("Metadata", {}).get("ProcessingJob", {}).get("Arn")


def job_name(arn: str) -> str:
    """Return a job's name, the last part of its ARN."""
    return arn.rpartition("/")[2]


def output_uris(job: DescribeProcessingJobResponseTypeDef) -> dict[str, str]:
    """Return the S3 URI of each output of a processing job by the output's name, without a trailing slash."""
    return {
        output["OutputName"]: output["S3Output"]["S3Uri"].rstrip("/")
        for output in job.get("ProcessingOutputConfig", {}).get("Outputs", [])
        if "S3Output" in output
    }
