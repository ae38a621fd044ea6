"""Estimate what a run's jobs would cost on AWS, and how fast its models scored the test rows."""

from __future__ import annotations

import json
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext

from estimate_cost.costs import Costs, read_prices
from estimate_cost.jobs import StepJobs, list_jobs
from estimate_cost.latency import find_speeds
from estimate_cost.report import complete_report, cost_section, latency_section
from shared.documents import Document, write_json
from shared.environment import FunctionEnvironment

logger = Logger(service="estimate_cost")
tracer = Tracer(service="estimate_cost")
metrics = Metrics(namespace="Retrain", service="estimate_cost")

REPORTS = {"EvaluateQuality": "quality", "CompareModels": "comparison"}  # step: output with a report.html


class Environment(FunctionEnvironment):
    """The function's configuration."""

    endpoint_instance_type: str


class Request(Document):
    """A pipeline execution."""

    pipeline_execution_arn: str


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the costs as numbers and text, and add them to the run's reports."""
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
        answer["costUri"] = write_json(s3, f"{run}/cost/cost.json", json.dumps(answer, indent=2).encode())
    metrics.add_metric("EstimatedCost", MetricUnit.NoUnit, costs.total)
    logger.info("estimated", extra=answer)
    return answer


def own_reports(steps: list[StepJobs]) -> list[str]:
    """Return the URIs of the reports that this run wrote; a cached step's is an earlier run's."""
    return [
        f"{step.outputs[REPORTS[step.name]]}/report.html"
        for step in steps
        if not step.cached and REPORTS.get(step.name) in step.outputs
    ]
