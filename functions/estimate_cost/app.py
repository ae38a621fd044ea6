"""Estimate the cost: what a run's jobs would cost on AWS, and how fast they scored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from costs import Costs, read_prices
from jobs import StepJobs, list_jobs
from latency import find_speeds
from pydantic import BaseModel, ConfigDict, Field
from report import complete_report, cost_section, latency_section
from storage import write_json

logger = Logger(service="estimate_cost")
tracer = Tracer(service="estimate_cost")
metrics = Metrics(namespace="Retrain", service="estimate_cost")

REPORTS = {"EvaluateQuality": "quality", "CompareModels": "comparison"}  # step: output with a report.html


class Environment(BaseModel):
    """The function's configuration, read from its environment."""

    model_config = ConfigDict(alias_generator=str.upper)
    endpoint_instance_type: str

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Environment:
        """Raises an error that names every missing variable."""
        return cls.model_validate(dict(environ))


class Request(BaseModel):
    """A pipeline execution, whose steps tell which reports are its own."""

    pipeline_execution_arn: str = Field(alias="pipelineExecutionArn")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers the costs in numbers and in words, and adds them to the run's reports."""
    request = parse(event=event, model=Request)
    environment = Environment.read()
    s3 = boto3.client("s3")
    steps = list_jobs(boto3.client("sagemaker"), request.pipeline_execution_arn)
    costs = Costs(steps, read_prices(), environment.endpoint_instance_type)
    speeds = find_speeds(s3, steps)
    reports = own_reports(steps)
    for uri in reports:
        complete_report(s3, uri, {"cost": cost_section(costs), "latency": latency_section(speeds)})
    answer = {**costs.document(), "speeds": [speed.document() for speed in speeds], "costUri": None}
    if reports:
        run = reports[0].rsplit("/", 2)[0]
        answer["costUri"] = write_json(s3, f"{run}/cost/cost.json", answer)
    metrics.add_metric("EstimatedCost", MetricUnit.NoUnit, costs.total)
    logger.info("estimated", extra=answer)
    return answer


def own_reports(steps: list[StepJobs]) -> list[str]:
    """The reports that this run wrote; one from the cache is an earlier run's and tells of that."""
    return [
        f"{step.outputs[REPORTS[step.name]]}/report.html"
        for step in steps
        if not step.cached and REPORTS.get(step.name) in step.outputs
    ]
