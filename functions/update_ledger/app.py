"""Update the ledger: which raw objects a run has dealt with, and how."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchWriteItemInputTypeDef
    from mypy_boto3_s3 import S3Client

logger = Logger(service="update_ledger")
tracer = Tracer(service="update_ledger")
metrics = Metrics(namespace="Retrain", service="update_ledger")

BATCH_SIZE = 25  # items, DynamoDB's limit for BatchWriteItem
WRITE_ATTEMPTS = 8
FIRST_PAUSE = 0.1  # seconds, doubled after each attempt
MAX_REASON = 1000  # characters


class LedgerWriteError(Exception):
    """DynamoDB kept refusing a part of a batch."""


class Environment(BaseModel):
    """The function's configuration, read from its environment."""

    model_config = ConfigDict(alias_generator=str.upper)
    table_name: str

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Environment:
        """Raises an error that names every missing variable."""
        return cls.model_validate(dict(environ))


class RejectedFile(BaseModel):
    """A raw object that could not be read."""

    key: str
    reason: str


class Outcome(BaseModel):
    """How the run went: the model went live, was not good enough, or there is none."""

    status: Literal["DEPLOYED", "REJECTED", "FAILED"]
    rejected: list[RejectedFile] = []


class Request(BaseModel):
    """A run's plan, if it came to one, and its outcome."""

    plan_uri: str | None = Field(default=None, alias="planUri")
    outcome: Outcome
    execution: str


class PlannedObject(BaseModel):
    """A version of a file under raw/, as the run saw it."""

    key: str
    etag: str
    size: int
    new: bool


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Records the run's objects; answers how many."""
    request = parse(event=event, model=Request)
    environment = Environment.read()
    planned = read_plan(boto3.client("s3"), request.plan_uri) if request.plan_uri else []
    items = list(ledger_items(planned, request))
    write(boto3.client("dynamodb"), environment.table_name, items)
    metrics.add_metric("RecordedObjects", MetricUnit.Count, len(items))
    logger.info("recorded", extra={"status": request.outcome.status, "recorded": len(items)})
    return {"recorded": len(items)}


def ledger_items(planned: list[PlannedObject], request: Request) -> Iterator[dict[str, Any]]:
    """What the outcome changes: a failure only marks the files that caused it.

    Objects that were not new are listed already; writing them again would make every run as dear as
    all the data ever dropped.
    """
    updated_at = datetime.now(UTC).isoformat(timespec="seconds")
    reasons = {item.key: item.reason[:MAX_REASON] for item in request.outcome.rejected}
    failed = request.outcome.status == "FAILED"
    for item in planned:
        if not (item.key in reasons if failed else item.new):
            continue
        yield {
            "pk": {"S": "OBJECT"},
            "sk": {"S": item.key},
            "etag": {"S": item.etag},
            "size": {"N": str(item.size)},
            "status": {"S": "REJECTED" if failed else "INGESTED"},
            **({"reason": {"S": reasons[item.key]}} if failed else {}),
            "execution": {"S": request.execution},
            "updatedAt": {"S": updated_at},
        }


def write(dynamodb: DynamoDBClient, table: str, items: list[dict[str, Any]]) -> None:
    """Puts all items, in batches."""
    for start in range(0, len(items), BATCH_SIZE):
        batch = items[start : start + BATCH_SIZE]
        write_batch(dynamodb, {"RequestItems": {table: [{"PutRequest": {"Item": item}} for item in batch]}})


def write_batch(dynamodb: DynamoDBClient, batch: BatchWriteItemInputTypeDef) -> None:
    """Puts one batch; DynamoDB hands back what it was too busy for."""
    for attempt in range(WRITE_ATTEMPTS):
        unprocessed = dynamodb.batch_write_item(**batch)["UnprocessedItems"]
        if not unprocessed:
            return
        batch = {"RequestItems": unprocessed}
        time.sleep(FIRST_PAUSE * 2**attempt)
    left = sum(len(requests) for requests in unprocessed.values())
    raise LedgerWriteError(
        f"DynamoDB left {left} items of table {', '.join(unprocessed)} unwritten after {WRITE_ATTEMPTS} "
        "attempts: it is throttled. Start the workflow again; it records the same objects."
    )


def read_plan(s3: S3Client, uri: str) -> list[PlannedObject]:
    """The objects that the run planned."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return TypeAdapter(list[PlannedObject]).validate_python(json.loads(body)["objects"])
