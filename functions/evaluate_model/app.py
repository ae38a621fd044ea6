"""Evaluate a model: is what the pipeline registered good enough to go live?"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

logger = Logger(service="evaluate_model")
tracer = Tracer(service="evaluate_model")
metrics = Metrics(namespace="Retrain", service="evaluate_model")

METRICS = "multiclass_classification_metrics"  # Model Monitor's name for the group


class NoModelPackageError(Exception):
    """The pipeline registered no model."""


class NoStatisticsError(Exception):
    """The model package carries no model quality."""


class Environment(BaseModel):
    """The bounds, read from the function's environment."""

    model_config = ConfigDict(alias_generator=str.upper)
    min_accuracy: float
    min_f1: float

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Environment:
        """Raises an error that names every variable that is missing or no number."""
        return cls.model_validate(dict(environ))

    def bounds(self) -> dict[str, float]:
        """The least value that each metric must have."""
        return {"accuracy": self.min_accuracy, "weighted_f1": self.min_f1}


class Request(BaseModel):
    """A pipeline execution that succeeded."""

    pipeline_execution_arn: str = Field(alias="pipelineExecutionArn")


class Judgement(NamedTuple):
    """A row of the table."""

    metric: str
    value: float | None
    bound: float
    verdict: Literal["pass", "fail", "missing"]

    def sentence(self) -> str:
        """The row in words."""
        if self.value is None:
            return f"{self.metric} is missing"
        relation = "is at least" if self.verdict == "pass" else "is below"
        return f"{self.metric} {self.value:.4f} {relation} {self.bound:g}"


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers the verdict, the table that it rests on and one sentence why."""
    request = parse(event=event, model=Request)
    environment = Environment.read()
    sagemaker = boto3.client("sagemaker")
    package_arn = find_model_package(sagemaker, request.pipeline_execution_arn)
    statistics_uri = find_statistics(sagemaker, package_arn)
    statistics = read_json(boto3.client("s3"), statistics_uri)
    table = [judge(metric, statistics, bound) for metric, bound in environment.bounds().items()]
    for row in table:
        if row.value is not None:
            metrics.add_metric(row.metric, MetricUnit.NoUnit, row.value)
    answer = {
        "approved": all(row.verdict == "pass" for row in table),
        "modelPackageArn": package_arn,
        "table": [row._asdict() for row in table],
        "summary": summarize(table),
        "statisticsUri": statistics_uri,
        "samplesUri": statistics_uri.rpartition("/")[0] + "/samples.jsonl",
    }
    logger.info("judged", extra=answer)
    return answer


def judge(metric: str, statistics: dict[str, Any], bound: float) -> Judgement:
    """Compares one metric with its bound; what is not a finite number counts as missing."""
    value = statistics.get(METRICS, {}).get(metric, {}).get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Judgement(metric, None, bound, "missing")
    return Judgement(metric, value, bound, "pass" if value >= bound else "fail")


def summarize(table: list[Judgement]) -> str:
    """One sentence why: every reason to approve, or every reason not to."""
    failures = [row for row in table if row.verdict != "pass"]
    verdict = "Rejected" if failures else "Approved"
    return f"{verdict}: {' and '.join(row.sentence() for row in failures or table)}."


def find_model_package(sagemaker: SageMakerClient, execution_arn: str) -> str:
    """The model package that a step of the execution registered."""
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=execution_arn
    )
    for page in pages:
        for step in page["PipelineExecutionSteps"]:
            if "RegisterModel" in step.get("Metadata", {}):
                return step["Metadata"]["RegisterModel"]["Arn"]
    raise NoModelPackageError(
        f"No step of {execution_arn} registered a model. Add a step of type RegisterModel to "
        "pipeline/definition.py, or look at the execution's steps in SageMaker Studio."
    )


def find_statistics(sagemaker: SageMakerClient, package_arn: str) -> str:
    """Where the model package says that its quality lies."""
    package = sagemaker.describe_model_package(ModelPackageName=package_arn)
    statistics = package.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics")
    if statistics is None:
        raise NoStatisticsError(
            f"{package_arn} has no ModelMetrics.ModelQuality.Statistics. Register the model with the "
            "statistics.json that the pipeline's step EvaluateQuality writes."
        )
    return statistics["S3Uri"]


def read_json(s3: S3Client, uri: str) -> dict[str, Any]:
    """A JSON document in S3."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    document: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return document
