"""Judge a model: is it good enough to be deployed, and better than the champion?"""

from __future__ import annotations

from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from judge_model.judgement import (
    APPROVED,
    Judgement,
    decide,
    describe_left_out,
    excuse_first_model,
    has_few_rows,
    judge_bound,
    judge_comparison,
    judge_constant,
    judge_rows,
    summarize,
)
from judge_model.measurements import Comparison, Details
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
    min_loss_p_value: float
    max_constant_p_value: float
    min_test_rows: int
    min_test_rows_per_label: int

    def bounds(self) -> dict[str, float]:
        """Return the least value of each metric."""
        return {"accuracy": self.min_accuracy, "weighted_f1": self.min_f1}


class Request(Document):
    """A pipeline execution that succeeded, and the champion when the run was planned."""

    pipeline_execution_arn: str
    champion: str | None = Field(default=None, alias="championModelPackageArn")
    champion_note: str  # where the champion was found, or why there is none
    first_model: bool = False  # whether no model was live or deployed before


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
    details = Details.model_validate(read_json(s3, f"{quality}/details.json"))
    rows = details.test_rows
    table = [judge_bound(metric, statistics, bound) for metric, bound in environment.bounds().items()]
    table.append(judge_constant(details.constant_classifier, environment.max_constant_p_value))
    remark = f" Not compared with a champion: {request.champion_note}."
    if request.champion:
        folder = find_comparison(sagemaker, steps, request.champion)
        comparison = Comparison.model_validate(read_json(s3, f"{folder}/comparison.json"))
        table += judge_comparison(
            comparison,
            request.champion.partition("/")[2] or request.champion,
            environment.min_improvement,
            environment.max_p_value,
            environment.min_loss_p_value,
        )
        remark = describe_left_out(comparison)
        rows = rows.model_copy(update={"rows": min(rows.rows, comparison.rows)})
    table += judge_rows(rows, environment.min_test_rows, environment.min_test_rows_per_label)
    if request.first_model and has_few_rows(table):
        table = excuse_first_model(table)
    verdict = decide(table)
    publish(table)
    answer = {
        "approved": verdict == APPROVED,
        "verdict": verdict,
        "modelPackageArn": package,
        "table": [row.row() for row in table],
        "summary": summarize(table, rows, remark),
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
