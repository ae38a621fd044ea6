from pathlib import Path

import pytest

from localaws.sagemaker.jobs import continuous_upload
from localaws.sagemaker.jobs.continuous_upload import ContinuousUpload
from localaws.sagemaker.platform.storage import S3Uri, Storage
from localaws.testing import wait_until
from localaws_tests.jobs import Bucket


def test_a_folder_is_uploaded_while_it_changes(
    storage: Storage, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuous_upload, "INTERVAL_SECONDS", 0.05)
    (tmp_path / "old").write_text("was there before")
    with ContinuousUpload(storage, tmp_path, S3Uri.parse(bucket.uri("checkpoints"))):
        (tmp_path / "step-1").write_text("1")
        wait_until(bucket.keys)
        assert bucket.keys() == ["checkpoints/step-1"]
        (tmp_path / "step-1").write_text("one")
        (tmp_path / "step-2").write_text("2")
    assert bucket.keys() == ["checkpoints/step-1", "checkpoints/step-2"]
    assert bucket.get("checkpoints/step-1") == b"one"


def test_a_file_deleted_in_the_folder_is_deleted_in_s3_if_configured(
    storage: Storage, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("checkpoints/another", "not of this folder")
    for name in ("step-1", "step-2"):
        (tmp_path / name).write_text(name)
        bucket.put(f"checkpoints/{name}", name)
    uri = S3Uri.parse(bucket.uri("checkpoints"))
    with ContinuousUpload(storage, tmp_path, uri):
        (tmp_path / "step-1").unlink()
    assert bucket.keys() == ["checkpoints/another", "checkpoints/step-1", "checkpoints/step-2"]
    with ContinuousUpload(storage, tmp_path, uri, deletes=True):
        (tmp_path / "step-2").unlink()
    assert bucket.keys() == ["checkpoints/another", "checkpoints/step-1"]
