"""A poisonous object costs itself only: what follows it, or lies beside it, becomes records."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from localaws.testing import wait_until
from tests.e2e.conftest import ROOT, RUN_SECONDS, Stack, as_csv, deployed, sample_rows
from tests.e2e.test_own_container import FOLDERS
from tests.e2e.test_retrain import drop_as_one, output, renamed

NAMES = {
    "an empty part": ("poison//a.csv",),
    "two dots": ("poison/../a.csv",),
    "a dot": ("poison/./b.csv",),
    "a long part": ("p" * 256 + ".csv",),
    "a long name": ("/".join(["q" * 250] * 4),),
    "a file that is a folder": ("clash", "clash/inside.csv"),
}
NO_DATA = {"_SUCCESS": b"", "2026/": b"", ".DS_Store": b"binary", "part-0.csv.crc": b"crc", "_metadata": b"x"}


def rows(prefix: str, count: int = 20) -> bytes:
    return as_csv(renamed(sample_rows()[:count], prefix))


def messages(stack: Stack) -> Callable[[], list[str]]:
    """Subscribe a queue to the topic; returns what reads the messages that were published since."""
    sqs, topic = stack.client("sqs"), stack.output("NotificationTopicArn")
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    queue = sqs.create_queue(
        QueueName=f"messages-{time.time_ns()}",
        Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]})},
    )["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    stack.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def read() -> list[str]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"])["Message"] for message in found]

    return read


def ingestion(stack: Stack, execution: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The report of IngestRecords by the files' names."""
    s3, bucket = stack.client("s3"), stack.output("DataBucketName")
    uri = output(execution)["plan"]["outputUri"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=uri.removeprefix(f"s3://{bucket}/") + "/ingest/")
    reports = [json.loads(stack.read(f"s3://{bucket}/{item['Key']}")) for item in listed["Contents"]]
    return {file["key"].removeprefix("raw/"): file for report in reports for file in report["files"]}


def test_names_that_no_job_can_take_are_reported_once_and_hold_up_nothing(
    stack: Stack, live: dict[str, str]
) -> None:
    read = messages(stack)
    poison = {name: rows(f"poison/{number}") for number, (name, *_) in enumerate(NAMES.values())}
    inside = {name: rows("inside") for _, *more in NAMES.values() for name in more}
    archived = {"Bucket": stack.output("DataBucketName"), "Key": "raw/archived.csv", "Body": rows("cold")}
    stack.client("s3").put_object(**archived, StorageClass="GLACIER")
    # The one that holds data comes with the others: everything of one plan.
    executions = stack.run_after(lambda: drop_as_one(stack, poison | inside | NO_DATA))
    ran = [each for each in executions if stack.entered(each["executionArn"])[-1] != "SetAside"]
    assert all(each["status"] == "SUCCEEDED" for each in executions), executions
    assert any(inside.keys() <= ingestion(stack, each).keys() for each in ran)
    aside = {*poison, "archived.csv"}
    ledger = stack.ledger()
    assert {name for name, status in ledger.items() if status == "SET_ASIDE"} == aside
    assert not NO_DATA.keys() & ledger.keys()
    assert ledger["clash/inside.csv"] == "INGESTED"
    message = "\n".join(wait_until(read))
    assert "Set aside" in message

    nothing = stack.run({})
    assert stack.entered(nothing["executionArn"])[-1] == "NothingNew"
    plan = output(nothing)["plan"]
    assert (plan["setAside"], plan["newSetAside"], plan["ignored"]) == (len(aside), 0, len(NO_DATA))

    (good,) = stack.run_after(lambda: stack.drop("after-names.csv", rows("after-names")))
    assert list(ingestion(stack, good)) == ["after-names.csv"]
    assert stack.ledger()["after-names.csv"] == "INGESTED"
    assert output(good)["plan"]["newSetAside"] == 0


def test_an_object_that_is_restored_is_taken_by_the_next_run(stack: Stack, live: dict[str, str]) -> None:
    s3, bucket = stack.client("s3"), stack.output("DataBucketName")
    s3.put_object(Bucket=bucket, Key="raw/cold.csv", Body=rows("cold"), StorageClass="DEEP_ARCHIVE")
    stack.quiet()
    assert stack.ledger()["cold.csv"] == "SET_ASIDE"
    s3.restore_object(Bucket=bucket, Key="raw/cold.csv", RestoreRequest={"Days": 1})
    wait_until(
        lambda: 'ongoing-request="false"' in s3.head_object(Bucket=bucket, Key="raw/cold.csv")["Restore"]
    )
    execution = stack.run({})
    assert ingestion(stack, execution)["cold.csv"]["ingested"] == 20
    assert stack.ledger()["cold.csv"] == "INGESTED"


@contextmanager
def denied(stack: Stack, key: str) -> Iterator[None]:
    """A policy of the bucket that denies the jobs' role one object, as a key in KMS does."""
    s3, bucket = stack.client("s3"), stack.output("DataBucketName")
    resource = stack.client("cloudformation").describe_stack_resource(
        StackName=stack.name, LogicalResourceId="ProcessingRole"
    )["StackResourceDetail"]["PhysicalResourceId"]
    role = stack.client("iam").get_role(RoleName=resource)["Role"]["Arn"]
    before = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    policy = json.loads(before)
    policy["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": {"AWS": role},
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/{key}",
        }
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=before)


def suspended_ingestion(stack: Stack) -> psutil.Process | None:
    """The process of this stack's `ingest`, suspended."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        ingests = any(part.endswith("containers/processing/ingest") for part in process.info["cmdline"] or [])
        if ingests and (process.info["environ"] or {}).get("AWS_ENDPOINT_URL") == stack.laptop.endpoint_url:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                return process
    return None


def test_a_denied_object_and_one_that_vanishes_cost_themselves_only(
    stack: Stack, live: dict[str, str]
) -> None:
    s3, bucket = stack.client("s3"), stack.output("DataBucketName")
    stack.quiet()
    files = {name: rows(name) for name in ("denied.csv", "gone.csv", "beside.csv")}
    with denied(stack, "raw/denied.csv"):
        drop_as_one(stack, files)
        process = wait_until(lambda: suspended_ingestion(stack), RUN_SECONDS)
        s3.delete_object(Bucket=bucket, Key="raw/gone.csv")
        process.resume()
        execution = stack.quiet()[-1]
        execution = stack.ended(execution["executionArn"])
        found = ingestion(stack, execution)
    assert {name: file["verdict"] for name, file in found.items()} == {
        "denied.csv": "UNREADABLE",
        "gone.csv": "VANISHED",
        "beside.csv": "INGESTED",
    }
    assert "not authorized" in found["denied.csv"]["reason"] or "Denied" in found["denied.csv"]["reason"]
    ledger = stack.ledger()
    assert (ledger["denied.csv"], ledger["beside.csv"]) == ("UNREADABLE", "INGESTED")
    assert "gone.csv" not in ledger
    assert "raw/denied.csv" in output(execution)["ledger"]["summary"]

    (good,) = stack.run_after(lambda: stack.drop("after-denied.csv", rows("after-denied")))
    assert list(ingestion(stack, good)) == ["after-denied.csv"]


def test_a_denied_object_alone_fails_its_run_and_no_other(stack: Stack, live: dict[str, str]) -> None:
    with denied(stack, "raw/alone.csv"):
        (failed,) = stack.run_after(lambda: stack.drop("alone.csv", rows("alone")))
        assert failed["status"] == "FAILED"
        assert "raw/alone.csv: the job may not read it" in failed["cause"]
        assert stack.ledger()["alone.csv"] == "UNREADABLE"
        (good,) = stack.run_after(lambda: stack.drop("after-alone.csv", rows("after-alone")))
    assert list(ingestion(stack, good)) == ["after-alone.csv"]
    assert stack.serving().keys() == live.keys()


def padded(prefix: str, size: int) -> bytes:
    """A small file of good rows, with a column that makes it large."""
    found = renamed(sample_rows()[:20], prefix)
    return as_csv([row | {"padding": "x" * (size // len(found))} for row in found])


def test_a_load_that_is_too_large_for_one_run_is_taken_in_several(stack: Stack, live: dict[str, str]) -> None:
    """A volume of 31 GB takes 170 MB."""
    stack.deploy(MaxIngestVolumeSizeInGB="31")
    try:
        files = {f"part-{number}.csv": padded(f"part-{number}", 60 << 20) for number in range(3)}
        first, second = stack.run_after(lambda: drop_as_one(stack, files))
    finally:
        stack.deploy(MaxIngestVolumeSizeInGB="500")
    assert list(ingestion(stack, first)) == ["part-0.csv", "part-1.csv"]
    assert list(ingestion(stack, second)) == ["part-2.csv"]
    assert (output(first)["plan"]["remaining"], output(second)["plan"]["remaining"]) == (1, 0)
    assert "1 file waits for the next one" in output(first)["ledger"]["summary"]
    arn = stack.steps(first)["IngestRecords"]["Metadata"]["ProcessingJob"]["Arn"]
    job = stack.client("sagemaker").describe_processing_job(ProcessingJobName=arn.rpartition("/")[2])
    assert job["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"] == 31


def replace(file: Path, before: str, after: str) -> None:
    """Replace a text that the file has."""
    text = file.read_text()
    assert before in text, f"{file.name} has no {before!r}"
    file.write_text(text.replace(before, after))


@pytest.fixture
def lenient(tmp_path: Path) -> Path:
    """A copy of the repository whose contract does not know the feature store's limits."""
    root = tmp_path / "repository"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, root)
    folder = root / "containers/processing"
    replace(folder / "contract.toml", "= 350_000", "= 500_000")
    replace(folder / "contract.toml", "max_length = 512", "max_length = 5_000")
    replace(folder / "contract.toml", "max_bytes = 2048 ", "max_bytes = 5_000 ")
    limits = folder / "processing/ingestion/contract.py"
    replace(limits, "RECORD_BYTES = 350 << 10", "RECORD_BYTES = 1 << 20")
    replace(limits, "IDENTIFIER_BYTES = 2 << 10", "IDENTIFIER_BYTES = 8 << 10")
    check = [sys.executable, "-c", "from processing.ingestion import contract; contract.load()"]
    subprocess.run(check, cwd=folder, check=True)
    return root


def test_records_that_the_feature_store_refuses_are_quarantined_alone(lenient: Path) -> None:
    good = sample_rows()
    # The first refuses its whole call, since its value is longer than the service's model allows.
    bad = [good[0] | {"id": "long text", "text": "x" * 400_000}, good[1] | {"id": "y" * 3_000}]
    with deployed(lenient, MaxTuningJobs="1") as stack:
        files = {"mixed.csv": as_csv([*good[:50], *bad, *good[50:]]), "bad.csv": as_csv(bad)}
        (execution,) = stack.run_after(lambda: drop_as_one(stack, files))
        assert stack.entered(execution["executionArn"])[-1] == "Deployed"
        found = ingestion(stack, execution)
        mixed = found["mixed.csv"]
        assert (mixed["rows"], mixed["ingested"], mixed["quarantined"]) == (len(good) + 2, len(good), 2)
        assert found["bad.csv"]["verdict"] == "QUARANTINED"
        assert stack.ledger() == {"mixed.csv": "INGESTED", "bad.csv": "QUARANTINED"}
        assert output(execution)["ledger"]["records"] == len(good)
        uri = output(execution)["plan"]["quarantineUri"]
        lines = stack.read(f"{uri}/algo-1.jsonl").decode().splitlines()
        refused = [line for line in map(json.loads, lines) if line["file"] == "raw/mixed.csv"]
        assert sorted(line["value"][:9] for line in refused) == ["long text", "y" * 9]
        assert all("the feature store refuses it: Validation" in line["reason"] for line in refused)
