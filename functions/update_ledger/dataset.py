"""The dataset: the labels that the step CreateDataset left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from shared.documents import Document, read_json
from shared.steps import job_name, list_steps, output_uris, processing_job_arn

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

STEP = "CreateDataset"


class Dataset(Document):
    """The part of dataset.json that somebody should look at."""

    omitted_labels: dict[str, int] = Field(default={})
    invalid_records: dict[str, str] = Field(default={})


def find_dataset(sagemaker: SageMakerClient, s3: S3Client, execution_arn: str) -> Dataset:
    """Read the report of an execution's dataset; it is empty if the step did not succeed."""
    for step in list_steps(sagemaker, execution_arn):
        job = processing_job_arn(step)
        if step["StepName"] == STEP and step.get("StepStatus") == "Succeeded" and job:
            outputs = output_uris(sagemaker.describe_processing_job(ProcessingJobName=job_name(job)))
            return Dataset.model_validate(read_json(s3, f"{outputs['report']}/dataset.json"))
    return Dataset()
