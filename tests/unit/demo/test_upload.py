"""Files that the bucket already contains are not uploaded again."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from moto import mock_aws
from rich.console import Console

from demo import stack, upload
from demo.data import RawFile

BUCKET = "retrain-data"
STACK = stack.Stack("retrain", BUCKET, "arn:machine", "pipeline", "real-time", "async")
PART = 5 * upload.MIB


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[stack.Clients]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield stack.connect()


@pytest.mark.parametrize("content", [b"", b"id,text,label\n"])
def test_an_object_with_the_same_content_is_recognized(
    clients: stack.Clients, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert not upload.has_content(clients, BUCKET, "raw/a.csv", path)
    clients.s3.put_object(Bucket=BUCKET, Key="raw/a.csv", Body=content)
    assert upload.has_content(clients, BUCKET, "raw/a.csv", path)


def test_an_object_with_other_content_of_the_same_size_is_not_recognized(
    clients: stack.Clients, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(b"new")
    clients.s3.put_object(Bucket=BUCKET, Key="raw/a.csv", Body=b"old")
    assert not upload.has_content(clients, BUCKET, "raw/a.csv", tmp_path / "a.csv")


def test_a_multipart_object_is_recognized(clients: stack.Clients, tmp_path: Path) -> None:
    content = b"x" * PART + b"end"
    (tmp_path / "a.csv").write_bytes(content)
    in_parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    clients.s3.upload_file(str(tmp_path / "a.csv"), BUCKET, "raw/a.csv", Config=in_parts)
    assert upload.describe(clients, BUCKET, "raw/a.csv").etag.endswith("-2")
    assert upload.has_content(clients, BUCKET, "raw/a.csv", tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b"y" * PART + b"end")
    assert not upload.has_content(clients, BUCKET, "raw/a.csv", tmp_path / "a.csv")


def test_only_missing_files_are_uploaded(
    clients: stack.Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []

    def copy(path: Path, target: str, console: Console) -> None:
        copied.append(target)
        clients.s3.upload_file(str(path), BUCKET, target.split("/", 3)[3])

    monkeypatch.setattr(upload, "_copy", copy)
    for name in ("old.csv", "new.csv"):
        (tmp_path / name).write_text(name)
    clients.s3.put_object(Bucket=BUCKET, Key="raw/old.csv", Body=b"old.csv")
    files = (RawFile(tmp_path / "old.csv", "old.csv"), RawFile(tmp_path / "new.csv", "new.csv"))
    written = upload.upload(clients, STACK, files, Console(quiet=True))
    assert copied == [f"s3://{BUCKET}/raw/new.csv"]
    assert written == (upload.describe(clients, BUCKET, "raw/new.csv"),)
    assert upload.upload(clients, STACK, files, Console(quiet=True)) == ()
