"""The offline store writes every record to Parquet with the group's role after the lag."""

import re
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.featurestore.offline_store import FLUSH_SECONDS, Destination, OfflineStore
from localaws.sagemaker.featurestore.record_store import RecordStore, Write
from localaws.sagemaker.featurestore.schema import Schema
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.storage import S3Uri
from localaws.testing import ACCOUNT, REGION, Laptop, allow, wait_until
from localaws_tests import features
from localaws_tests.features import T1, T2, T3, rows, values
from localaws_tests.jobs import Bucket

FILE = re.compile(
    rf"features/{ACCOUNT}/sagemaker/{REGION}/offline-store/group-[0-9a-f]+-[0-9]+/data/"
    r"year=2026/month=11/day=23/hour=(\d\d)/(\d{8}T\d{6}Z)_[0-9a-zA-Z]{16}\.parquet"
)


@pytest.fixture
def group(laptop: Laptop, bucket: Bucket, role_arn: str) -> dict[str, Any]:
    """A group with an online and an offline store."""
    return features.created(laptop, **features.offline(bucket, role_arn))


@pytest.fixture(scope="module")
def runtime(laptop: Laptop) -> Any:
    return laptop.client("sagemaker-featurestore-runtime")


def record(identifier: str, event_time: str, **others: str) -> list[dict[str, str]]:
    return values(record_id=identifier, event_time=event_time, **others)


def visible(laptop: Laptop, bucket: Bucket, group: dict[str, Any], number: int) -> None:
    wait_until(lambda: len(rows(laptop, bucket, group, "record_id")) >= number)


def test_every_write_is_appended_independent_of_the_online_store(
    laptop: Laptop, bucket: Bucket, runtime: Any, group: dict[str, Any]
) -> None:
    name = group["FeatureGroupName"]
    before = datetime.now(UTC)
    for moment, text in ((T3, "new — ünïcode 😀"), (T1, 'old, "quoted"'), (T1, "again")):
        runtime.put_record(FeatureGroupName=name, Record=record("a", moment, text=text))
    runtime.delete_record(FeatureGroupName=name, RecordIdentifierValueAsString="a", EventTime=T2)
    visible(laptop, bucket, group, 4)
    found = rows(
        laptop,
        bucket,
        group,
        "record_id, event_time, text, label, is_deleted, year, month, day, hour",
        "ORDER BY api_invocation_time",
    )
    assert found == [
        ["a", T3, "new — ünïcode 😀", None, "false", "2026", "11", "23", "04"],
        ["a", T1, 'old, "quoted"', None, "false", "2026", "11", "23", "03"],
        ["a", T1, "again", None, "false", "2026", "11", "23", "03"],
        ["a", T2, None, None, "true", "2026", "11", "23", "03"],
    ]
    for invoked, written in rows(laptop, bucket, group, "api_invocation_time, write_time"):
        moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (invoked, written)]
        assert before - timedelta(seconds=1) <= moments[0] < moments[1] <= datetime.now(UTC)


def test_a_deletion_has_an_id_and_a_time_only(
    laptop: Laptop, bucket: Bucket, runtime: Any, group: dict[str, Any]
) -> None:
    name = group["FeatureGroupName"]
    runtime.put_record(FeatureGroupName=name, Record=record("a", T1, text="long", label="pos"))
    about = {"RecordIdentifierValueAsString": "a", "EventTime": T2, "DeletionMode": "SoftDelete"}
    for _ in range(2):  # repeated, it is another version of the same time
        runtime.delete_record(FeatureGroupName=name, **about)
    visible(laptop, bucket, group, 3)
    columns = "record_id, event_time, text, label, is_deleted"
    found = rows(laptop, bucket, group, columns, "ORDER BY api_invocation_time")
    assert found == [["a", T1, "long", "pos", "false"], *2 * [["a", T2, None, None, "true"]]]
    counted = rows(laptop, bucket, group, "label, event_time, count(DISTINCT record_id)", "GROUP BY 1, 2")
    assert sorted(counted, key=str) == [["pos", T1, "1"], [None, T2, "1"]]


def test_files_have_the_keys_of_aws(
    laptop: Laptop, bucket: Bucket, runtime: Any, group: dict[str, Any]
) -> None:
    entries = [
        {"FeatureGroupName": group["FeatureGroupName"], "Record": record(identifier, moment)}
        for identifier, moment in (("a", T1), ("b", T2), ("c", T3))
    ]
    runtime.batch_write_record(Entries=entries)
    visible(laptop, bucket, group, 3)
    found = [FILE.fullmatch(key) for key in bucket.keys("features/")]
    # One file per hour, named after its latest event time.
    assert [match.groups() for match in found if match] == [
        ("03", "20261123T030715Z"),
        ("04", "20261123T040000Z"),
    ]
    assert len(found) == 2


def test_numbers_have_numeric_columns(laptop: Laptop, bucket: Bucket, role_arn: str, runtime: Any) -> None:
    types = {
        "record_id": "String",
        "event_time": "Fractional",
        "stars": "Integral",
        "text-score": "Fractional",
    }
    group = features.created(
        laptop, FeatureDefinitions=features.definitions(**types), **features.offline(bucket, role_arn)
    )
    features_by_name = {"record_id": "a", "event_time": "1795403235.5", "stars": "+5", "text-score": "2.5e-1"}
    runtime.put_record(FeatureGroupName=group["FeatureGroupName"], Record=values(**features_by_name))
    visible(laptop, bucket, group, 1)
    columns = 'event_time * 2, stars + 1, "text-score" * 2, year, hour'
    assert rows(laptop, bucket, group, columns) == [["3590806471.0", "6", "0.5", "2026", "03"]]


def test_target_stores_select_the_stores(
    laptop: Laptop, bucket: Bucket, runtime: Any, group: dict[str, Any]
) -> None:
    name = group["FeatureGroupName"]
    for identifier, stores in (("on", ["OnlineStore"]), ("off", ["OfflineStore"]), ("both", None)):
        targets = {"TargetStores": stores} if stores else {}
        runtime.put_record(FeatureGroupName=name, Record=record(identifier, T1), **targets)
    visible(laptop, bucket, group, 2)
    assert rows(laptop, bucket, group, "record_id", "ORDER BY record_id") == [["both"], ["off"]]
    assert runtime.list_records(FeatureGroupName=name)["RecordIdentifiers"] == ["on", "both"]


def test_a_failed_hard_delete_writes_no_deletion_marker(
    laptop: Laptop, bucket: Bucket, runtime: Any, group: dict[str, Any]
) -> None:
    name = group["FeatureGroupName"]
    runtime.put_record(FeatureGroupName=name, Record=record("a", T2))
    about = {"FeatureGroupName": name, "RecordIdentifierValueAsString": "a", "DeletionMode": "HardDelete"}
    with pytest.raises(runtime.exceptions.ClientError, match="EventTime"):
        runtime.delete_record(EventTime=T1, **about)
    runtime.delete_record(EventTime=T3, **about)
    visible(laptop, bucket, group, 2)
    found = rows(laptop, bucket, group, "event_time, is_deleted", "ORDER BY event_time")
    assert found == [[T2, "false"], [T3, "true"]]


def test_denied_writes_block_the_store_and_are_retried(laptop: Laptop, bucket: Bucket, runtime: Any) -> None:
    arn = f"arn:aws:s3:::{bucket.name}*"
    role = laptop.role(f"offline-{bucket.name}", allow("s3:GetBucketAcl", resource=arn))
    group = features.created(laptop, **features.offline(bucket, role))
    name = group["FeatureGroupName"]
    runtime.put_record(FeatureGroupName=name, Record=record("a", T1))
    runtime.put_record(FeatureGroupName=name, Record=record("b", T3))
    sagemaker = laptop.client("sagemaker")

    def status() -> dict[str, str]:
        described = sagemaker.describe_feature_group(FeatureGroupName=name)
        found: dict[str, str] = described["OfflineStoreStatus"]
        return found

    wait_until(lambda: status()["Status"] == "Blocked")
    assert f"The role {role} is not allowed to perform s3:PutObject" in status()["BlockedReason"]
    listed = sagemaker.list_feature_groups(NameContains=name, OfflineStoreStatusEquals="Blocked")
    assert [found["FeatureGroupName"] for found in listed["FeatureGroupSummaries"]] == [name]
    laptop.allow(role, allow("s3:GetBucketAcl", "s3:PutObject", resource=arn))
    visible(laptop, bucket, group, 2)
    wait_until(lambda: status() == {"Status": "Active"})
    assert rows(laptop, bucket, group, "record_id", "ORDER BY record_id") == [["a"], ["b"]]


def test_writes_of_a_deleted_group_are_not_retried(
    platform: Platform, tmp_path: Path, role_arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localaws.sagemaker.featurestore.offline_store.RETRY_SECONDS", 600.0)
    destination = Destination("gone", role_arn, S3Uri(f"no-bucket-{uuid.uuid4().hex}", "gone"), SCHEMA)
    offline = Offline(platform, tmp_path, destination, lag=0.0)
    offline.write(1)
    wait_until(lambda: offline.store.status(1)["Status"] == "Blocked")
    assert offline.records.pending_groups() == [1]
    offline.store.delete(1)
    wait_until(lambda: not offline.records.pending_groups())
    offline.close()


SCHEMA = Schema("record_id", "event_time", {"record_id": "String", "event_time": "String"})


class Offline:
    """An offline store in the test process, with its lag in seconds."""

    def __init__(self, platform: Platform, folder: Path, destination: Destination, lag: float) -> None:
        self.lag = lag
        self.records = RecordStore(folder / "records.db")
        self.store = OfflineStore(self.records, platform.sessions, folder, lag)
        self.store.open(1, destination)

    def write(self, number: int) -> None:
        record = SCHEMA.record(values(record_id=str(number), event_time=T1))
        self.records.write([Write(1, record, online=False, offline=True)], time.time_ns() // 1000)
        self.store.wake()

    def close(self) -> None:
        self.store.close()
        self.records.close()


@pytest.fixture
def slow(platform: Platform, bucket: Bucket, role_arn: str, tmp_path: Path) -> Iterator[Offline]:
    """An offline store with a lag of two seconds."""
    destination = Destination("slow", role_arn, S3Uri(bucket.name, "slow"), SCHEMA)
    offline = Offline(platform, tmp_path, destination, lag=2.0)
    yield offline
    offline.close()


def test_a_record_is_written_after_the_lag(bucket: Bucket, slow: Offline) -> None:
    begun = time.monotonic()
    slow.write(1)
    wait_until(lambda: bucket.keys("slow/"))
    assert time.monotonic() - begun >= slow.lag


def test_a_stream_of_writes_produces_few_files(bucket: Bucket, slow: Offline) -> None:
    begun = time.monotonic()
    for number in range(100):
        slow.write(number)
        time.sleep(0.02)
    wait_until(lambda: not slow.records.pending_groups())
    maximum = (time.monotonic() - begun) / FLUSH_SECONDS[1] + 1
    assert 1 <= len(bucket.keys("slow/")) <= maximum
