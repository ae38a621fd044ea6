"""Run the Athena query of a processing job's input, as the job's role, and list the result's objects."""

from __future__ import annotations

import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from localaws.sagemaker.api.errors import ClientFailure, ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs.job import Job, JobStopped
from localaws.sagemaker.platform.storage import S3Object, S3Uri

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_athena import AthenaClient

FIRST_POLL_SECONDS = 0.05  # interval between two polls of the query; it doubles up to MAX_POLL_SECONDS
MAX_POLL_SECONDS = 0.2
COMPRESSIONS = MappingProxyType(
    {"PARQUET": (None, "GZIP", "SNAPPY"), "JSON": (None, "GZIP"), "TEXTFILE": (None, "GZIP")}
)
QUERY_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


def unload(definition: Document, job: Job, name: str) -> list[S3Object]:
    """Run an AthenaDatasetDefinition's query and return the S3 objects that contain its rows.

    Args:
        definition: the AthenaDatasetDefinition.
        job: the job that has the input.
        name: the InputName.

    Raises:
        ClientFailure: the query cannot be started, returns no rows or fails; the message has Athena's reason.
        JobStopped: the job was stopped; the query is stopped too.
    """
    athena: AthenaClient = job.platform.sessions.client("athena", job.role_arn)
    # A prefix per job and input, since UNLOAD requires an empty location.
    output = S3Uri.parse(definition["OutputS3Uri"]) / f"{job.name}/{name}/"
    rows = output / "rows/"
    try:
        query_id = athena.start_query_execution(
            QueryString=_statement(definition, rows),
            QueryExecutionContext={"Database": definition["Database"], "Catalog": definition["Catalog"]},
            WorkGroup=definition.get("WorkGroup", "primary"),
            ResultConfiguration={"OutputLocation": str(output)},
        )["QueryExecutionId"]
        try:
            _wait(athena, query_id, job, name)
        except (JobStopped, ClientError, BotoCoreError):
            with contextlib.suppress(ClientError, BotoCoreError):
                athena.stop_query_execution(QueryExecutionId=query_id)
            raise
    except (ClientError, BotoCoreError) as error:
        raise ClientFailure(f"The Athena query of the input {name} failed to run: {error}") from error
    objects = job.storage.list_objects(rows)
    if not objects:
        raise ClientFailure(f"The Athena query {query_id} of the input {name} returned no rows")
    return objects


def check(definition: Document) -> None:
    """Validate an AthenaDatasetDefinition.

    Raises:
        ValidationException: OutputS3Uri is not an S3 URI, or OutputCompression does not fit OutputFormat.
    """
    S3Uri.parse(definition["OutputS3Uri"])
    compression, file_format = definition.get("OutputCompression"), definition["OutputFormat"]
    if compression not in COMPRESSIONS.get(file_format, (compression,)):
        raise ValidationException(
            f"OutputCompression {compression} cannot be used with OutputFormat {file_format}"
        )


def _statement(definition: Document, rows: S3Uri) -> str:
    query = definition["QueryString"].strip().rstrip(";")
    properties = f"format = '{definition['OutputFormat']}'"
    if compression := definition.get("OutputCompression"):
        properties += f", compression = '{compression}'"
    return f"UNLOAD ({query}) TO '{rows}' WITH ({properties})"


def _wait(athena: AthenaClient, query_id: str, job: Job, name: str) -> None:
    pause = FIRST_POLL_SECONDS
    while True:
        status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
        if status["State"] in QUERY_ENDED:
            break
        if job.stopping.wait(pause):
            raise JobStopped
        pause = min(2 * pause, MAX_POLL_SECONDS)
    if status["State"] != "SUCCEEDED":
        raise ClientFailure(
            f"The Athena query {query_id} of the input {name} ended with state {status['State']}: "
            f"{status.get('StateChangeReason', 'no StateChangeReason')}"
        )
