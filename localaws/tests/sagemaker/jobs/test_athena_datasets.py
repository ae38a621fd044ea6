"""Processing jobs whose input is an Athena query, over HTTP."""

import gzip
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from botocore.exceptions import ClientError

from localaws.sagemaker.api.shapes import Document
from localaws.testing import ACCOUNT, REGION, Laptop, allow, wait_until
from localaws_tests.jobs import Bucket
from localaws_tests.tables import LATEST, put_table

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tests/witness:latest"
ENDLESS = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 3"
Request = Callable[..., Document]


@pytest.fixture
def table(laptop: Laptop, bucket: Bucket, tmp_path: Path) -> str:
    name = f"records_{uuid.uuid4().hex[:8]}"
    put_table(laptop, tmp_path, bucket.name, name)
    return name


@pytest.fixture
def request_of(laptop: Laptop, bucket: Bucket, role_arn: str, job_name: str) -> Request:
    laptop.allow(
        role_arn, allow("s3:*", resource=f"arn:aws:s3:::{bucket.name}*"), allow("athena:*", "glue:Get*")
    )

    def make(query: str, instances: int = 1, **members: str) -> Document:
        definition = {
            "Catalog": "AwsDataCatalog",
            "Database": "records",
            "QueryString": query,
            "OutputS3Uri": bucket.uri("datasets"),
            "OutputFormat": "PARQUET",
            "OutputCompression": "SNAPPY",
        }
        members = {"LocalPath": "/opt/ml/processing/input/records", "InputMode": "File", **members}
        output = {"S3Uri": bucket.uri("out"), "LocalPath": "/opt/ml/processing/output"}
        return {
            "ProcessingJobName": job_name,
            "RoleArn": role_arn,
            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["work"]},
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": instances,
                    "InstanceType": "ml.m5.large",
                    "VolumeSizeInGB": 1,
                }
            },
            "ProcessingInputs": [
                {
                    "InputName": "records",
                    "DatasetDefinition": {"AthenaDatasetDefinition": definition, **members},
                }
            ],
            "ProcessingOutputConfig": {
                "Outputs": [{"OutputName": "out", "S3Output": {**output, "S3UploadMode": "EndOfJob"}}]
            },
        }

    return make


def ended(laptop: Laptop, request: Document) -> Document:
    """Start a job and return its description when it has ended."""
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_processing_job(**request)
    name = request["ProcessingJobName"]

    def poll() -> Document | None:
        record: Document = sagemaker.describe_processing_job(ProcessingJobName=name)
        return record if record["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    found: Document = wait_until(poll)
    return found


def rows(bucket: Bucket, host: str, folder: Path) -> list[tuple[Any, ...]]:
    """Return the rows of the Parquet files that a host received."""
    keys = bucket.keys(f"out/{host}/input/records/")
    files = [folder / f"{host}-{number}" for number in range(len(keys))]
    for key, file in zip(keys, files, strict=True):
        file.write_bytes(bucket.get(key))
    if not files:
        return []
    names = [str(file) for file in files]
    return duckdb.execute("SELECT record_id, text FROM read_parquet(?) ORDER BY 1", [names]).fetchall()


def test_the_rows_of_a_query_are_the_input(
    laptop: Laptop, bucket: Bucket, table: str, request_of: Request, tmp_path: Path
) -> None:
    request = request_of(f"{LATEST.format(table=table)};", DataDistributionType="FullyReplicated")
    record = ended(laptop, request)
    assert record.get("FailureReason") is None
    assert record["ProcessingInputs"] == request["ProcessingInputs"]
    assert rows(bucket, "algo-1", tmp_path) == [("a", "new"), ("c", 'it\'s "ü"')]
    # The container's configuration contains the definition, with null for absent members.
    (configured,) = json.loads(bucket.get("out/algo-1/config/processingjobconfig.json"))["ProcessingInputs"]
    (requested,) = request["ProcessingInputs"]
    assert configured == {
        **requested,
        "AppManaged": False,
        "S3Input": None,
        "DatasetDefinition": {**requested["DatasetDefinition"], "RedshiftDatasetDefinition": None},
    }


@pytest.mark.parametrize(("distribution", "copies"), [("FullyReplicated", 2), ("ShardedByS3Key", 1)])
def test_rows_go_to_all_instances_or_to_one(
    laptop: Laptop,
    bucket: Bucket,
    table: str,
    request_of: Request,
    tmp_path: Path,
    distribution: str,
    copies: int,
) -> None:
    query = f'SELECT * FROM "{table}"'
    record = ended(laptop, request_of(query, instances=2, DataDistributionType=distribution))
    assert record.get("FailureReason") is None
    found = [row for host in ("algo-1", "algo-2") for row in rows(bucket, host, tmp_path)]
    assert len(found) == 6 * copies


def test_text_is_unloaded_too(laptop: Laptop, bucket: Bucket, table: str, request_of: Request) -> None:
    request = request_of(f"SELECT label FROM \"{table}\" WHERE record_id = 'c'")
    definition = request["ProcessingInputs"][0]["DatasetDefinition"]["AthenaDatasetDefinition"]
    definition |= {"OutputFormat": "JSON", "OutputCompression": "GZIP"}
    assert ended(laptop, request).get("FailureReason") is None
    (key,) = bucket.keys("out/algo-1/input/records/")
    assert gzip.decompress(bucket.get(key)) == b'{"label":"x"}\n'


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT nothing FROM {table}", 'Referenced column "nothing" not found'),
        ("SELECT * FROM {table} WHERE label = 'none'", "of the input records returned no rows"),
    ],
)
def test_a_query_without_rows_fails_the_job(
    laptop: Laptop, table: str, request_of: Request, query: str, reason: str
) -> None:
    record = ended(laptop, request_of(query.format(table=table)))
    assert record["ProcessingJobStatus"] == "Failed"
    assert record["FailureReason"].startswith("ClientError: The Athena query ")
    assert reason in record["FailureReason"]
    assert "ProcessingStartTime" not in record


def test_the_query_runs_with_the_role_of_the_job(
    laptop: Laptop, bucket: Bucket, role_arn: str, table: str, request_of: Request
) -> None:
    request = request_of(f'SELECT * FROM "{table}"')
    laptop.allow(role_arn, allow("s3:*", resource=f"arn:aws:s3:::{bucket.name}*"))
    record = ended(laptop, request)
    assert record["ProcessingJobStatus"] == "Failed"
    assert "athena:StartQueryExecution" in record["FailureReason"]


def status_of_query(laptop: Laptop, job_name: str) -> Document | None:
    """Return the status of a job's query; None while it is queued."""
    athena = laptop.client("athena")
    for query_id in athena.list_query_executions()["QueryExecutionIds"]:
        execution = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        if job_name in execution["Query"] and execution["Status"]["State"] != "QUEUED":
            status: Document = execution["Status"]
            return status
    return None


def test_a_query_that_cannot_be_polled_is_stopped(
    laptop: Laptop, bucket: Bucket, role_arn: str, job_name: str, request_of: Request
) -> None:
    request = request_of(ENDLESS)
    without_polling = allow("athena:StartQueryExecution", "athena:StopQueryExecution", "glue:Get*")
    laptop.allow(role_arn, allow("s3:*", resource=f"arn:aws:s3:::{bucket.name}*"), without_polling)
    record = ended(laptop, request)
    assert record["ProcessingJobStatus"] == "Failed"
    assert "athena:GetQueryExecution" in record["FailureReason"]
    status = wait_until(lambda: status_of_query(laptop, job_name))
    assert status["State"] == "CANCELLED"


def test_stop_stops_the_query(laptop: Laptop, request_of: Request, job_name: str) -> None:
    sagemaker = laptop.client("sagemaker")
    sagemaker.create_processing_job(**request_of(ENDLESS))

    def query() -> Document | None:
        return status_of_query(laptop, job_name)

    assert wait_until(query)["State"] == "RUNNING"
    sagemaker.stop_processing_job(ProcessingJobName=job_name)
    wait_until(
        lambda: (
            sagemaker.describe_processing_job(ProcessingJobName=job_name)["ProcessingJobStatus"] == "Stopped"
        )
    )
    assert query() == {**(query() or {}), "State": "CANCELLED"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"OutputFormat": "ORC"}, "The value ORC of .*OutputFormat is not supported locally"),
        ({"OutputFormat": "JSON", "OutputCompression": "SNAPPY"}, "SNAPPY cannot be used with OutputFormat"),
        ({"OutputCompression": "ZLIB"}, "OutputCompression ZLIB cannot be used with OutputFormat PARQUET"),
        ({"OutputS3Uri": "https://bucket/k"}, "is not a valid S3 URI|OutputS3Uri|outputS3Uri"),
    ],
)
def test_an_unsupported_unload_is_rejected_by_create(
    laptop: Laptop, request_of: Request, change: Document, message: str
) -> None:
    request = request_of("SELECT 1")
    request["ProcessingInputs"][0]["DatasetDefinition"]["AthenaDatasetDefinition"] |= change
    with pytest.raises(ClientError, match=message):
        laptop.client("sagemaker").create_processing_job(**request)
