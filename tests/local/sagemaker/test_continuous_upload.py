from pathlib import Path

import pytest

from localaws.sagemaker import continuous_upload
from localaws.sagemaker.continuous_upload import ContinuousUpload
from localaws.sagemaker.storage import S3Uri, Storage
from tests.local.conftest import wait_until
from tests.local.sagemaker.conftest import Bucket


def test_a_folder_is_uploaded_while_it_changes(
    storage: Storage, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuous_upload, "INTERVAL_SECONDS", 0.05)
    (tmp_path / "old").write_text("was there before")
    with ContinuousUpload(storage, tmp_path, S3Uri.parse(bucket.uri("checkpoints"))):
        (tmp_path / "step-1").write_text("1")
        wait_until(bucket.keys, 20)
        assert bucket.keys() == ["checkpoints/step-1"]
        (tmp_path / "step-1").write_text("one")
        (tmp_path / "step-2").write_text("2")
    assert bucket.keys() == ["checkpoints/step-1", "checkpoints/step-2"]
    assert bucket.get("checkpoints/step-1") == b"one"
