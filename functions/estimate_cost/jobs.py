"""The jobs of a pipeline execution: their instances and their time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from shared.steps import job_name, list_steps, output_uris, processing_job_arn

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef

Kind = Literal["processing", "training", "transform"]


@dataclass(frozen=True)
class Job:
    """One job; `seconds` is the billed time of each of its instances."""

    instance_type: str
    instances: int
    seconds: float
    volume_gb: int = 0  # of each instance
    spot: bool = False
    unbilled: float = 0.0  # seconds that it ran besides: what Spot capacity saved


@dataclass(frozen=True)
class StepJobs:
    """A step with its job, or the jobs of its search; those of a cached step ran in an earlier execution."""

    name: str
    kind: Kind
    cached: bool
    jobs: list[Job]
    outputs: dict[str, str] = field(default_factory=dict)  # of a processing job: name to S3 URI


def list_jobs(sagemaker: SageMakerClient, execution_arn: str) -> list[StepJobs]:
    """Return the steps that ran jobs, in the order of their start."""
    found = (describe(sagemaker, step) for step in list_steps(sagemaker, execution_arn))
    return [step for step in found if step is not None]


def describe(sagemaker: SageMakerClient, step: PipelineExecutionStepTypeDef) -> StepJobs | None:
    """Return the step with its jobs, or None if it ran none."""
    name = step["StepName"]
    # Without a cache hit, SageMaker may return the member without an ARN.
    cached = bool(step.get("CacheHitResult", {}).get("SourcePipelineExecutionArn"))
    metadata = step.get("Metadata", {})
    if arn := processing_job_arn(step):
        job, outputs = processing_job(sagemaker, job_name(arn))
        return StepJobs(name, "processing", cached, [job], outputs)
    if arn := metadata.get("TrainingJob", {}).get("Arn"):
        return StepJobs(name, "training", cached, [training_job(sagemaker, job_name(arn))])
    if arn := metadata.get("TuningJob", {}).get("Arn"):
        names = search_jobs(sagemaker, job_name(arn))
        return StepJobs(name, "training", cached, [training_job(sagemaker, each) for each in names])
    if arn := metadata.get("TransformJob", {}).get("Arn"):
        return StepJobs(name, "transform", cached, [transform_job(sagemaker, job_name(arn))])
    return None


def processing_job(sagemaker: SageMakerClient, name: str) -> tuple[Job, dict[str, str]]:
    """Return the job and the URIs of its outputs."""
    found = sagemaker.describe_processing_job(ProcessingJobName=name)
    cluster = found["ProcessingResources"]["ClusterConfig"]
    seconds = span(found, "ProcessingStartTime", "ProcessingEndTime")
    job = Job(cluster["InstanceType"], cluster["InstanceCount"], seconds, cluster["VolumeSizeInGB"])
    return job, output_uris(found)


def training_job(sagemaker: SageMakerClient, name: str) -> Job:
    """Return the job; only part of the time of Spot instances is billed."""
    found = sagemaker.describe_training_job(TrainingJobName=name)
    resources = found["ResourceConfig"]
    seconds = found.get("BillableTimeInSeconds", span(found, "TrainingStartTime", "TrainingEndTime"))
    return Job(
        resources.get("InstanceType", "several"),
        resources.get("InstanceCount", 1),
        seconds,
        resources.get("VolumeSizeInGB", 0),
        found.get("EnableManagedSpotTraining", False),
        max(0.0, found.get("TrainingTimeInSeconds", seconds) - seconds),
    )


def search_jobs(sagemaker: SageMakerClient, name: str) -> Iterator[str]:
    """Yield the names of the training jobs of a tuning job."""
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name
    )
    for page in pages:
        for summary in page["TrainingJobSummaries"]:
            yield summary["TrainingJobName"]


def transform_job(sagemaker: SageMakerClient, name: str) -> Job:
    """Return the job; its instances have no separate volumes."""
    found = sagemaker.describe_transform_job(TransformJobName=name)
    resources = found["TransformResources"]
    seconds = span(found, "TransformStartTime", "TransformEndTime")
    return Job(resources["InstanceType"], resources["InstanceCount"], seconds)


def span(job: Any, start: str, end: str) -> float:
    """Return the seconds between two times, or 0 for a job that has not started or not ended."""
    times: list[datetime] = [job[key] for key in (start, end) if key in job]
    return max(0.0, (times[1] - times[0]).total_seconds()) if len(times) == 2 else 0.0
