"""The results of a pipeline execution: the model package, its quality and its comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.steps import job_name, output_uris, processing_job_arn

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef


class NoModelPackageError(Exception):
    """The pipeline registered no model."""


class NoStatisticsError(Exception):
    """The model package has no model quality."""


class NoComparisonError(Exception):
    """There is a champion, but the pipeline did not compare the new model with it."""


def find_model_package(steps: list[PipelineExecutionStepTypeDef], execution_arn: str) -> str:
    """Return the ARN of the model package that the execution registered.

    Raises:
        NoModelPackageError: it registered none.
    """
    for step in steps:
        if "RegisterModel" in step.get("Metadata", {}):
            return step["Metadata"]["RegisterModel"]["Arn"]
    raise NoModelPackageError(
        f"No step of {execution_arn} registered a model. Add a step of type RegisterModel to "
        "pipeline/model.py, or look at the execution's steps in SageMaker Studio."
    )


def find_statistics(sagemaker: SageMakerClient, package_arn: str) -> str:
    """Return the URI of the model quality that the model package names.

    Raises:
        NoStatisticsError: it names none.
    """
    package = sagemaker.describe_model_package(ModelPackageName=package_arn)
    statistics = package.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics")
    if statistics is None:
        raise NoStatisticsError(
            f"{package_arn} has no ModelMetrics.ModelQuality.Statistics. Register the model with the "
            "statistics.json that the pipeline's step EvaluateQuality writes."
        )
    return statistics["S3Uri"]


def find_comparison(
    sagemaker: SageMakerClient, steps: list[PipelineExecutionStepTypeDef], champion: str
) -> str:
    """Return the URI of the output of the step CompareModels.

    Raises:
        NoComparisonError: there is none; without a comparison no model may replace the champion.
    """
    for step in steps:
        job = processing_job_arn(step)
        if step["StepName"] == "CompareModels" and job:
            found = sagemaker.describe_processing_job(ProcessingJobName=job_name(job))
            if uri := output_uris(found).get("comparison"):
                return uri
    raise NoComparisonError(
        f"{champion} is the champion, but no step CompareModels with an output `comparison` was run. Start "
        "the workflow again; if that does not help, see that the pipeline gets the parameter "
        "ChampionModelName."
    )
