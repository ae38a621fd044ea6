"""Reading raw objects from S3: each is its own answer."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from processing.errors import FileError, ReadError, UnreadableError, VanishedError
from processing.ingestion import bucket as module
from processing.ingestion import downloads
from processing.ingestion.bucket import Bucket
from processing.ingestion.plan import Source

DENIED = "User is not authorized to perform: s3:GetObject"
KMS = "User is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext"


class Objects:
    """S3 by moto, where some keys answer with an error, or break off."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.errors: dict[str, tuple[int, str, str]] = {}
        self.breaks: dict[str, int] = {}  # how often the connection breaks, each time after a byte
        self.asked: list[str] = []

    def put(self, key: str, body: bytes = b"content") -> Source:
        etag = self.client.put_object(Bucket="data", Key=key, Body=body)["ETag"].strip('"')
        return Source(key, etag, "2026-11-23T03:07:15.001Z", Path(), len(body))

    def get_object(self, **request: Any) -> Any:
        key = request["Key"]
        self.asked.append(key)
        if key in self.errors:
            status, code, message = self.errors[key]
            response: Any = {
                "Error": {"Code": code, "Message": message},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }
            raise ClientError(response, "GetObject")
        answer = self.client.get_object(**request)
        if self.breaks.get(key, 0):
            self.breaks[key] -= 1
            return {"Body": Broken(answer["Body"].read(1))}
        return answer

    def list_objects_v2(self, **request: Any) -> Any:
        return self.client.list_objects_v2(**request)


class Broken(io.BytesIO):
    """A body whose connection breaks at its end."""

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        yield self.read(size)
        raise ReadTimeoutError(endpoint_url="https://s3")


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)


@pytest.fixture
def objects() -> Iterator[Objects]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="data")
        yield Objects(client)


def fetched(objects: Objects, folder: Path, *sources: Source) -> dict[str, bytes | FileError]:
    """What is found of each source."""
    client: Any = objects
    placed = [
        Source(item.key, item.etag, item.event_time, folder / str(number), item.size)
        for number, item in enumerate(sources)
    ]
    found = downloads.fetch(Bucket(client, "data"), placed)
    return {source.key: refusal or source.path.read_bytes() for source, refusal in found}


def test_each_object_is_read_and_its_file_deleted_afterwards(objects: Objects, tmp_path: Path) -> None:
    sources = [objects.put(f"raw/{number}", b"x" * number) for number in range(40)]
    assert fetched(objects, tmp_path, *sources) == {f"raw/{n}": b"x" * n for n in range(40)}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["raw/a", "raw/a/b", "raw/a//b", "raw/../b", "raw/" + "a" * 1000])
def test_a_key_is_no_path(objects: Objects, tmp_path: Path, key: str) -> None:
    assert fetched(objects, tmp_path, objects.put(key)) == {key: b"content"}


def test_what_vanished_or_changed_costs_itself_only(objects: Objects, tmp_path: Path) -> None:
    gone, changed, good = (objects.put(f"raw/{name}") for name in ("gone", "changed", "good"))
    objects.client.delete_object(Bucket="data", Key="raw/gone")
    objects.put("raw/changed", b"other")
    found = fetched(objects, tmp_path, gone, changed, good)
    assert found["raw/good"] == b"content"
    assert isinstance(found["raw/gone"], VanishedError)
    assert isinstance(found["raw/changed"], VanishedError)
    assert str(found["raw/changed"]).startswith("replaced after the run was planned")


def test_a_missing_object_that_s3_denies_has_vanished(objects: Objects, tmp_path: Path) -> None:
    """S3 answers so if the role may list the bucket under a condition only."""
    gone = objects.put("raw/gone")
    objects.put("raw/gone.csv")
    objects.client.delete_object(Bucket="data", Key="raw/gone")
    objects.errors["raw/gone"] = (403, "AccessDenied", DENIED)
    assert isinstance(fetched(objects, tmp_path, gone)["raw/gone"], VanishedError)


@pytest.mark.parametrize(
    "error",
    [
        (403, "AccessDenied", KMS),
        (400, "KMS.DisabledException", "the key is disabled"),
        (400, "InvalidRequest", "The object was stored using a form of Server Side Encryption."),
    ],
)
def test_an_object_with_a_key_of_its_own_costs_itself_only(
    objects: Objects, tmp_path: Path, error: tuple[int, str, str]
) -> None:
    bad = objects.put("raw/bad")
    objects.errors["raw/bad"] = error
    found = fetched(objects, tmp_path, bad)["raw/bad"]
    assert isinstance(found, UnreadableError)
    assert str(found) == f"the job may not read it: {error[2]}"


def test_a_denied_object_costs_itself_only_if_another_can_be_read(objects: Objects, tmp_path: Path) -> None:
    bad = objects.put("raw/bad")
    objects.put("raw/ingested/long/ago")
    objects.errors["raw/bad"] = (403, "AccessDenied", DENIED)
    assert isinstance(fetched(objects, tmp_path, bad)["raw/bad"], UnreadableError)


def test_a_role_that_may_read_nothing_fails_the_job(objects: Objects, tmp_path: Path) -> None:
    sources = [objects.put("raw/a"), objects.put("raw/b")]
    objects.errors = dict.fromkeys(("raw/a", "raw/b"), (403, "AccessDenied", DENIED))
    with pytest.raises(ReadError, match=r"the job cannot read s3://data/raw/a: .*s3:GetObject"):
        fetched(objects, tmp_path, *sources)


def test_an_object_that_is_archived_since_the_plan_stays_new(objects: Objects, tmp_path: Path) -> None:
    archived, good = objects.put("raw/archived"), objects.put("raw/good")
    objects.errors["raw/archived"] = (403, "InvalidObjectState", "not valid for the storage class")
    found = fetched(objects, tmp_path, archived, good)
    assert found["raw/good"] == b"content"
    assert isinstance(found["raw/archived"], VanishedError)
    assert "restore it" in str(found["raw/archived"])


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "ThrottlingException", "You have exceeded the rate at which you may call KMS."),
        (400, "KMS.ThrottlingException", "Rate exceeded"),
        (400, "KMS.KMSInternalException", "because"),
        (400, "KMS.DependencyTimeoutException", "because"),
        (400, "RequestTimeout", "Your socket connection to the server was not read from"),
        (403, "RequestTimeTooSkewed", "because"),
    ],
)
def test_an_error_that_passes_costs_no_object(
    objects: Objects, tmp_path: Path, status: int, code: str, message: str
) -> None:
    good, busy = objects.put("raw/a"), objects.put("raw/b")
    objects.errors["raw/b"] = (status, code, message)
    with pytest.raises(ReadError, match=code):
        fetched(objects, tmp_path, good, busy)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "NoSuchBucket"), (503, "SlowDown"), (400, "ExpiredToken"), (429, "TooMany")]
)
def test_an_error_that_concerns_all_fails_the_job(
    objects: Objects, tmp_path: Path, status: int, code: str
) -> None:
    source = objects.put("raw/a")
    objects.put("raw/b")
    objects.errors["raw/a"] = (status, code, "because")
    with pytest.raises(ReadError, match=code):
        fetched(objects, tmp_path, source)


def test_a_broken_connection_reads_the_rest(objects: Objects, tmp_path: Path) -> None:
    source = objects.put("raw/a", b"0123456789")
    objects.breaks["raw/a"] = 9
    assert fetched(objects, tmp_path, source) == {"raw/a": b"0123456789"}


def test_a_connection_that_always_breaks_fails_the_job(objects: Objects, tmp_path: Path) -> None:
    source = objects.put("raw/a", b"")
    objects.breaks["raw/a"] = 100
    with pytest.raises(ReadError, match="S3 does not answer for s3://data/raw/a"):
        fetched(objects, tmp_path, source)
    assert len(objects.asked) == 5


def test_only_some_bytes_are_read_ahead(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "AHEAD_BYTES", 10)
    sources = [objects.put(f"raw/{number}", b"x" * 6) for number in range(5)]
    client: Any = objects
    placed = [
        Source(item.key, item.etag, item.event_time, tmp_path / str(number), item.size)
        for number, item in enumerate(sources)
    ]
    for _ in downloads.fetch(Bucket(client, "data"), placed):
        assert len(list(tmp_path.iterdir())) <= 2
