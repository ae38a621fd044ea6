"""Plan a run: what lies under raw/ that the ledger does not list yet."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

logger = Logger(service="plan_run")
tracer = Tracer(service="plan_run")
metrics = Metrics(namespace="Retrain", service="plan_run")

RAW = "raw/"
NAME_BYTES = 800  # of a name as JSON: what a processing job's exit message can name, with a reason
PART_BYTES = 255  # of a name between slashes: what a file system takes


class UnclearRequestError(Exception):
    """The event asks for neither a plan nor a look."""


class NoDataError(Exception):
    """A forced run has nothing to train on."""


class Environment(BaseModel):
    """The function's configuration, read from its environment."""

    model_config = ConfigDict(alias_generator=str.upper)
    bucket_name: str
    table_name: str

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Environment:
        """Raises an error that names every missing variable."""
        return cls.model_validate(dict(environ))


class RunInput(BaseModel):
    """What the execution was started with: `{}`, `{"force": true}` or an S3 event."""

    force: bool = False


class Execution(BaseModel):
    """Step Functions' `$$.Execution`."""

    name: str = Field(alias="Name")
    input: RunInput = Field(alias="Input")


class RejectedFile(BaseModel):
    """A raw object that could not be read."""

    key: str


class Outcome(BaseModel):
    """How the run that is ending went."""

    status: str
    rejected: list[RejectedFile] = []


class LookAgain(BaseModel):
    """The plan of the run that is ending, if it came to one."""

    plan_uri: str | None = Field(default=None, alias="planUri")
    outcome: Outcome


class Request(BaseModel):
    """Either a run to plan, or a look for what arrived during one."""

    execution: Execution | None = None
    look_again: LookAgain | None = Field(default=None, alias="lookAgain")


class RawObject(BaseModel):
    """A version of a file under raw/, as the plan and the ledger know it."""

    key: str
    etag: str
    size: int
    modified: datetime
    new: bool


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers whether there is something to train on, and where the plan lies."""
    request = parse(event=event, model=Request)
    environment = Environment.read()
    s3 = boto3.client("s3")
    found = readable_objects(s3, boto3.client("dynamodb"), environment)
    objects = sorted(found, key=lambda item: (item.modified, item.key))  # the later row of an id wins
    if request.look_again is not None:
        answer = look_again(s3, objects, request.look_again)
    elif request.execution is not None:
        answer = plan(s3, environment.bucket_name, objects, request.execution)
    else:
        raise UnclearRequestError('Give "execution" ($$.Execution) to plan a run, or "lookAgain".')
    metrics.add_metric("NewObjects", MetricUnit.Count, answer["newObjects"])
    logger.info("planned", extra=answer)
    return answer


def plan(s3: S3Client, bucket: str, objects: list[RawObject], execution: Execution) -> dict[str, Any]:
    """Writes manifest and plan if the run is worth starting."""
    new = sum(item.new for item in objects)
    forced = execution.input.force
    if forced and not objects:
        raise NoDataError(
            f"Forced to run, but s3://{bucket}/{RAW} holds no readable file. Copy a CSV or JSON Lines "
            f"file with the columns id, text, label there: aws s3 cp reviews.csv s3://{bucket}/{RAW}"
        )
    if not (new or forced):
        return result(run=False, new=new, objects=len(objects))
    run = f"runs/{execution.name}"
    manifest = [{"prefix": f"s3://{bucket}/{RAW}"}, *(item.key.removeprefix(RAW) for item in objects)]
    planned = {"objects": [item.model_dump(mode="json") for item in objects], "forced": forced}
    return {
        **result(run=True, new=new, objects=len(objects)),
        "forced": forced,
        "manifestUri": write_json(s3, bucket, f"{run}/plan/manifest.json", manifest),
        "planUri": write_json(s3, bucket, f"{run}/plan/plan.json", planned),
        "outputUri": f"s3://{bucket}/{run}",
    }


def look_again(s3: S3Client, objects: list[RawObject], look: LookAgain) -> dict[str, Any]:
    """Counts what arrived during the run; what the run has already failed on does not count.

    Otherwise a failure that persists would start itself again for ever. A failed run without a plan
    has an unknown share in everything that is new, so nothing counts until the next event.
    """
    failed = look.outcome.status == "FAILED"
    if failed and look.plan_uri is None:
        return result(run=False, new=0, objects=len(objects))
    tried: set[tuple[str, str]] = set()
    if failed and look.plan_uri is not None:
        rejected = {item.key for item in look.outcome.rejected}
        planned = read_plan(s3, look.plan_uri)
        tried = {(item.key, item.etag) for item in planned if not rejected or item.key in rejected}
    new = sum(item.new and (item.key, item.etag) not in tried for item in objects)
    return result(run=new > 0, new=new, objects=len(objects))


def result(*, run: bool, new: int, objects: int) -> dict[str, Any]:
    """The answer's fields, of which a look and a run with nothing to do have no URIs."""
    uris = {"manifestUri": None, "planUri": None, "outputUri": None}
    return {"run": run, "forced": False, "newObjects": new, "objects": objects, **uris}


def readable_objects(s3: S3Client, dynamodb: DynamoDBClient, environment: Environment) -> Iterator[RawObject]:
    """Every object under raw/, but those whose present content was rejected."""
    ledger = read_ledger(dynamodb, environment.table_name)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=environment.bucket_name, Prefix=RAW)
    for page in pages:
        for entry in page.get("Contents", []):
            key, etag, size = entry["Key"], entry["ETag"].strip('"'), entry["Size"]
            known_etag, status = ledger.get(key, (None, None))
            is_folder = key.endswith("/") and size == 0
            if is_folder or (status == "REJECTED" and known_etag == etag):
                continue
            if not is_file_name(key.removeprefix(RAW)):
                logger.warning("skipped: no job can take a file of this name; rename it", extra={"key": key})
                metrics.add_metric("SkippedObjects", MetricUnit.Count, 1)
                continue
            modified = entry["LastModified"]
            yield RawObject(key=key, etag=etag, size=size, modified=modified, new=known_etag != etag)


def is_file_name(name: str) -> bool:
    """Whether a job can download the object as a file, and name it when it is rejected."""
    parts = name.split("/")
    return (
        not {"", ".", ".."} & set(parts)
        and all(len(part.encode()) <= PART_BYTES for part in parts)
        and len(json.dumps(name, ensure_ascii=False).encode()) <= NAME_BYTES
    )


def read_ledger(dynamodb: DynamoDBClient, table: str) -> dict[str, tuple[str, str]]:
    """The etag and status that each key was last recorded with."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="pk = :ledger",
        ExpressionAttributeValues={":ledger": {"S": "OBJECT"}},
        ProjectionExpression="sk, etag, #status",
        ExpressionAttributeNames={"#status": "status"},
        ConsistentRead=True,
    )
    return {
        item["sk"]["S"]: (item["etag"]["S"], item["status"]["S"]) for page in pages for item in page["Items"]
    }


def read_plan(s3: S3Client, uri: str) -> list[RawObject]:
    """The objects that an earlier run planned."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return TypeAdapter(list[RawObject]).validate_python(json.loads(body)["objects"])


def write_json(s3: S3Client, bucket: str, key: str, content: object) -> str:
    """Writes a document and returns its URI."""
    body = json.dumps(content).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return f"s3://{bucket}/{key}"
