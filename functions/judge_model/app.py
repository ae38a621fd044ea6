"""Judge a model: is it good enough to be deployed, and better than the champion?"""

from __future__ import annotations

from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from judge_model.judgement import Comparison, Judgement, judge_bound, judge_comparison, summarize
from judge_model.results import find_comparison, find_model_package, find_statistics
from shared.documents import Document, read_json
from shared.environment import FunctionEnvironment
from shared.steps import list_steps

logger = Logger(service="judge_model")
tracer = Tracer(service="judge_model")
metrics = Metrics(namespace="Retrain", service="judge_model")


class Environment(FunctionEnvironment):
    """The thresholds that a model has to meet."""

    min_accuracy: float
    min_f1: float
    min_improvement: float
    max_p_value: float

    def bounds(self) -> dict[str, float]:
        """Return the least value of each metric."""
        return {"accuracy": self.min_accuracy, "weighted_f1": self.min_f1}


class Request(Document):
    """A pipeline execution that succeeded, and the champion when the run was planned."""

    pipeline_execution_arn: str
    champion: str | None = Field(default=None, alias="championModelPackageArn")
    champion_note: str  # where the champion was found, or why there is none


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the verdict, the table that it is based on, and a one-sentence summary."""
    request = parse(event=event, model=Request)
    environment = Environment.read()
    sagemaker, s3 = boto3.client("sagemaker"), boto3.client("s3")
    steps = list_steps(sagemaker, request.pipeline_execution_arn)
    package = find_model_package(steps, request.pipeline_execution_arn)
    statistics_uri = find_statistics(sagemaker, package)
    folder = quality = statistics_uri.rpartition("/")[0]
    statistics = read_json(s3, statistics_uri)
    table = [judge_bound(metric, statistics, bound) for metric, bound in environment.bounds().items()]
    comparison = None
    if request.champion:
        folder = find_comparison(sagemaker, steps, request.champion)
        comparison = Comparison.model_validate(read_json(s3, f"{folder}/comparison.json"))
        table += judge_comparison(comparison, environment.min_improvement, environment.max_p_value)
    publish(table)
    answer = {
        "approved": all(row.verdict == "pass" for row in table),
        "modelPackageArn": package,
        "table": [row._asdict() for row in table],
        "summary": summarize(table, comparison, request.champion, request.champion_note),
        "statisticsUri": statistics_uri,
        "samplesUri": f"{quality}/samples.jsonl",
        "reportUri": f"{folder}/report.html",
    }
    logger.info("judged", extra=answer)
    return answer


def publish(table: list[Judgement]) -> None:
    """Publish each value as a CloudWatch metric."""
    for row in table:
        if row.value is not None:
            metrics.add_metric(row.metric, MetricUnit.NoUnit, row.value)
