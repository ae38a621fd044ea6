"""Start localaws for a benchmark, and create the resources that writing records needs."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import memory
from benchmarks.containers import ROOT
from benchmarks.errors import LocalAwsError
from localaws import lifecycle, testing
from localaws.settings import ACCOUNT_ID, DEFAULT_REGION, Settings

WORKDIR = ROOT / ".localaws"  # shared with `make run` for the images' environments
STOP_SECONDS = 30
START_SECONDS = 60
READY_SECONDS = 60
POLL_SECONDS = 0.1
LOG_LINES = 15
BUCKET = "benchmark"
FEATURES = ("record_id", "event_time", "text", "label", "split", "source")


@dataclass(frozen=True)
class Group:
    """A feature group and the Glue table of its offline store."""

    name: str
    database: str
    table: str


@dataclass(frozen=True)
class LocalAws(testing.Laptop):
    """A running localaws and its process."""

    process: subprocess.Popen[bytes]

    @property
    def megabytes(self) -> float:
        """The peak memory (MB) of its process so far."""
        return memory.peak(self.process.pid)

    def feature_group(self, name: str, role_arn: str) -> Group:
        """Create a feature group like that of template.yaml and wait until it is created."""
        sagemaker = self.client("sagemaker")
        sagemaker.create_feature_group(
            FeatureGroupName=name,
            RecordIdentifierFeatureName="record_id",
            EventTimeFeatureName="event_time",
            FeatureDefinitions=[{"FeatureName": each, "FeatureType": "String"} for each in FEATURES],
            OnlineStoreConfig={"EnableOnlineStore": True},
            OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/feature-store"}},
            RoleArn=role_arn,
        )
        deadline = time.monotonic() + READY_SECONDS
        while True:
            found = sagemaker.describe_feature_group(FeatureGroupName=name)
            if found["FeatureGroupStatus"] == "Created":
                catalog = found["OfflineStoreConfig"]["DataCatalogConfig"]
                return Group(name, catalog["Database"], catalog["TableName"])
            if found["FeatureGroupStatus"] != "Creating" or time.monotonic() > deadline:
                raise LocalAwsError(f"the feature group {name} is {found['FeatureGroupStatus']}: {found}")
            time.sleep(POLL_SECONDS)

    def query(self, group: Group, statement: str) -> list[list[str]]:
        """Run an Athena statement to its end and return the cells of its result without the header."""
        athena = self.client("athena")
        query = athena.start_query_execution(
            QueryString=statement,
            QueryExecutionContext={"Database": group.database},
            ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/athena/"},
        )["QueryExecutionId"]
        while True:
            status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                break
            if status["State"] in ("FAILED", "CANCELLED"):
                raise LocalAwsError(f"{status['State']}: {status.get('StateChangeReason')}: {statement}")
            time.sleep(POLL_SECONDS)
        rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue", "") for cell in row["Data"]] for row in rows[1:]]

    def records(self, group: Group) -> int:
        """Return the number of records that are visible in the group's offline store."""
        [[count]] = self.query(group, f'SELECT count(DISTINCT record_id) FROM "{group.table}"')  # noqa: S608
        return int(count)

    def unload(self, group: Group, query: str, name: str) -> list[str]:
        """Write a query's rows as Parquet, like an AthenaDatasetDefinition, and return the files' keys."""
        prefix = f"unload/{name}/"
        properties = "format = 'PARQUET', compression = 'SNAPPY'"
        self.query(group, f"UNLOAD ({query}) TO 's3://{BUCKET}/{prefix}' WITH ({properties})")
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def download(self, keys: list[str], folder: Path) -> None:
        """Download objects to a folder."""
        folder.mkdir(parents=True)
        s3 = self.client("s3")
        for number, key in enumerate(keys):
            s3.download_file(BUCKET, key, str(folder / str(number)))


@contextlib.contextmanager
def start() -> Iterator[LocalAws]:
    """Start localaws on a free port; it is stopped and its files are deleted at the end of the block.

    Raises:
        LocalAwsError: localaws did not start.
    """
    _remove_aws_environment()
    port = testing.free_port()
    workdir = WORKDIR / f"benchmark-{port}"
    settings = Settings(workdir=workdir, images=ROOT / "containers", port=port, region=DEFAULT_REGION)
    workdir.mkdir(parents=True)
    try:
        (WORKDIR / "environments").mkdir(exist_ok=True)
        (workdir / "environments").symlink_to(WORKDIR / "environments")
        with _serving(settings) as aws:
            aws.client("s3").create_bucket(Bucket=BUCKET)
            yield aws
    finally:
        shutil.rmtree(workdir, ignore_errors=True)


@contextlib.contextmanager
def _serving(settings: Settings) -> Iterator[LocalAws]:
    command = [sys.executable, "-m", "localaws", "serve", f"--port={settings.port}"]
    command += [f"--images={settings.images}", f"--workdir={settings.workdir}"]
    with settings.log_file.open("wb") as log:
        # In a new session: Ctrl-C stops the benchmark, which then stops localaws.
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not lifecycle.is_up(settings):
            if process.poll() is not None or time.monotonic() > deadline:
                last = "\n".join(settings.log_file.read_text(errors="replace").splitlines()[-LOG_LINES:])
                raise LocalAwsError(f"localaws did not start. The last lines of its log:\n{last}")
            time.sleep(POLL_SECONDS)
        yield LocalAws(settings.endpoint_url, settings.workdir, process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except BaseException:
            process.kill()
            process.wait()
            raise


def image_uri(name: str) -> str:
    """Return the image URI of an image folder."""
    return f"{ACCOUNT_ID}.dkr.ecr.{DEFAULT_REGION}.amazonaws.com/retrain/{name}:latest"


def _remove_aws_environment() -> None:
    """Remove AWS variables from the environment, so that a benchmark cannot use another account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
