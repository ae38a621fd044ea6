import gzip
import io
import tarfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.platform.archives import fetch_archive, unpack, upload_archive
from localaws.sagemaker.platform.storage import S3Uri, Storage
from localaws_tests.jobs import Bucket


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.SYMTYPE
    info.linkname = target
    return info


def test_an_uploaded_archive_is_downloaded_and_unpacked(
    storage: Storage, bucket: Bucket, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    (model / "deep").mkdir(parents=True)
    (model / "deep" / "weights").write_bytes(bytes(range(256)) * 1000)
    upload_archive(storage, model, S3Uri.parse(bucket.uri("model.tar.gz")))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    target = tmp_path / "target"
    target.mkdir()
    fetch_archive(storage.client, bucket.uri("model.tar.gz"), target)
    assert (target / "deep" / "weights").read_bytes() == (model / "deep" / "weights").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "target"]


def test_a_missing_archive_raises_botocores_error(storage: Storage, bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(ClientError):
        fetch_archive(storage.client, bucket.uri("none.tar.gz"), tmp_path)


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../evil"),
        tarfile.TarInfo("a/../../evil"),
        link("evil", "/etc/passwd"),
        link("evil", "../.."),
    ],
)
def test_an_archive_with_members_outside_the_folder_is_rejected(
    tmp_path: Path, member: tarfile.TarInfo
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    path = archive(tmp_path / "model.tar.gz", (member, b""))
    with pytest.raises(ValidationException, match="model-uri cannot be unpacked"):
        unpack(path, target, "model-uri")
    assert not list(target.iterdir())
    assert not (tmp_path / "evil").exists()


def test_an_archive_larger_than_the_disk_is_rejected_before_unpacking(tmp_path: Path) -> None:
    bomb = tarfile.TarInfo("zeros")
    bomb.size = 1 << 60
    path = tmp_path / "bomb.tar"
    path.write_bytes(bomb.tobuf())
    gz = tmp_path / "bomb.tar.gz"
    gz.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ValidationException, match="too large"):
        unpack(gz, tmp_path, "model-uri")
    assert not (tmp_path / "zeros").exists()


def test_an_invalid_or_truncated_archive_is_rejected(tmp_path: Path) -> None:
    noise = tmp_path / "noise.tar.gz"
    noise.write_bytes(b"\x89PNG not an archive")
    whole = archive(tmp_path / "whole.tar.gz", (tarfile.TarInfo("a"), bytes(range(256)) * 4000))
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[:-200])
    for path in (noise, cut):
        with pytest.raises(ValidationException, match="cannot be unpacked"):
            unpack(path, tmp_path, "model-uri")
