import uuid
from pathlib import Path

import pytest

from localaws.sagemaker.api.errors import ClientFailure
from localaws.sagemaker.jobs import checkpoints
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.storage import S3Object, S3Uri, Storage
from localaws.testing import Laptop, allow
from localaws_tests.jobs import Bucket


def job_of(platform: Platform, role_arn: str, bucket: Bucket) -> Job:
    request = {"CheckpointConfig": {"S3Uri": bucket.uri("checkpoints")}}
    return Job("one", "arn", request, role_arn, platform, "one/algo-1-0")


def test_an_object_deleted_after_the_listing_is_skipped(
    platform: Platform,
    role_arn: str,
    bucket: Bucket,
    laptop: Laptop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("mine/1", "another/1"):
        bucket.put(f"checkpoints/{name}", name)
    list_objects = Storage.list_objects

    def list_then_delete(storage: Storage, prefix: S3Uri) -> list[S3Object]:
        found = list_objects(storage, prefix)
        laptop.client("s3").delete_object(Bucket=bucket.name, Key="checkpoints/another/1")
        return found

    monkeypatch.setattr(Storage, "list_objects", list_then_delete)
    with checkpoints.synchronized(job_of(platform, role_arn, bucket), tmp_path):
        assert (tmp_path / "checkpoints/mine/1").read_text() == "mine/1"
        assert not (tmp_path / "checkpoints/another/1").exists()


def test_an_object_that_cannot_be_downloaded_is_named(
    platform: Platform, bucket: Bucket, laptop: Laptop, tmp_path: Path
) -> None:
    bucket.put("checkpoints/1", "1")
    role = laptop.role(f"lister-{uuid.uuid4().hex[:12]}", allow("s3:ListBucket"))
    with (
        pytest.raises(ClientFailure, match=r"checkpoints/1 .*AccessDenied"),
        checkpoints.synchronized(job_of(platform, role, bucket), tmp_path),
    ):
        pass
