from pathlib import Path

import pytest

from localaws.sagemaker.api.errors import ClientFailure, ValidationException
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.storage import S3Uri, Storage, files, relative_name
from localaws.testing import Laptop, allow
from localaws_tests.jobs import Bucket


@pytest.mark.parametrize("uri", ["", "s3://", "s3:///key", "http://b/k", "/opt/ml"])
def test_an_invalid_s3_uri_is_rejected(uri: str) -> None:
    with pytest.raises(ValidationException, match="not a valid S3 URI"):
        S3Uri.parse(uri)


@pytest.mark.parametrize(
    ("prefix", "key", "relative"),
    [
        ("raw/", "raw/a.csv", "a.csv"),
        ("raw", "raw/sub/a.csv", "sub/a.csv"),
        ("raw/a.csv", "raw/a.csv", "a.csv"),
        ("a.csv", "a.csv", "a.csv"),
        ("raw/part-", "raw/part-1/x", "part-1/x"),
        ("", "raw/a.csv", "raw/a.csv"),
    ],
)
def test_names_relative_to_a_prefix(prefix: str, key: str, relative: str) -> None:
    assert relative_name(prefix, key) == relative


def test_a_prefix_is_downloaded_and_uploaded_again(storage: Storage, bucket: Bucket, tmp_path: Path) -> None:
    for key in ("in/a.csv", "in/sub/b.csv", "in/empty/", "other/c.csv"):
        bucket.put(key, "" if key.endswith("/") else key)
    storage.download(storage.objects("S3Prefix", bucket.uri("in/")), tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in files(tmp_path)} == {"a.csv", "sub/b.csv"}
    (tmp_path / "link").symlink_to(tmp_path / "a.csv")
    storage.upload(tmp_path, S3Uri.parse(bucket.uri("out")))
    assert bucket.keys("out") == ["out/a.csv", "out/sub/b.csv"]
    assert bucket.get("out/sub/b.csv") == b"in/sub/b.csv"


def test_a_manifest_names_its_objects(storage: Storage, bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("raw/a.csv", "a")
    bucket.put("raw/sub/b.csv", "b")
    bucket.put("raw/c.csv", "not named")
    manifest = bucket.put_manifest("plan/manifest.json", bucket.uri("raw/"), "a.csv", "sub/b.csv")
    storage.download(storage.objects("ManifestFile", manifest), tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in files(tmp_path)} == {"a.csv", "sub/b.csv"}


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '["a.csv"]', '[{"prefix":"raw/"}]', '[{"prefix":"s3://b/"}, 1]']
)
def test_a_malformed_manifest_is_named(storage: Storage, bucket: Bucket, content: str) -> None:
    uri = bucket.put("manifest.json", content)
    with pytest.raises(ClientFailure, match=rf"^ClientError: The manifest {uri} is malformed"):
        storage.objects("ManifestFile", uri)


@pytest.mark.parametrize("name", ["../up.csv", "sub/../../up.csv", "a//b.csv", "./a.csv"])
def test_a_path_outside_the_folder_is_rejected(
    storage: Storage, bucket: Bucket, tmp_path: Path, name: str
) -> None:
    manifest = bucket.put_manifest("manifest.json", bucket.uri("raw/"), name)
    with pytest.raises(ClientFailure, match=r"is a path outside its folder|illegal char sub-sequence"):
        storage.download(storage.objects("ManifestFile", manifest), tmp_path)
    assert not list(files(tmp_path))


def test_an_empty_prefix_and_a_missing_object_are_named(
    storage: Storage, bucket: Bucket, role_arn: str, tmp_path: Path
) -> None:
    with pytest.raises(ClientFailure, match=r'No S3 objects found under S3 URL "s3://.*/none/"'):
        storage.objects("S3Prefix", bucket.uri("none/"))
    manifest = bucket.put_manifest("manifest.json", bucket.uri("raw/"), "gone.csv")
    with pytest.raises(ClientFailure, match=rf"s3://{bucket.name}/raw/gone\.csv \(NoSuchKey \(404\)"):
        storage.download(storage.objects("ManifestFile", manifest), tmp_path)


def test_a_denied_action_is_named_with_its_uri_and_role(
    platform: Platform, laptop: Laptop, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("in/a.csv", "a")
    everything = f"arn:aws:s3:::{bucket.name}*"
    without_permission = laptop.role(
        f"nothing-{bucket.name}", allow("s3:GetBucketLocation", resource=everything)
    )
    list_only = laptop.role(f"list-{bucket.name}", allow("s3:ListBucket", resource=everything))
    with pytest.raises(
        ClientFailure, match=rf"s3://{bucket.name}/in/ \(AccessDenied: .*{without_permission}.*s3:ListBucket"
    ):
        Storage(platform.sessions, without_permission).objects("S3Prefix", bucket.uri("in/"))
    limited = Storage(platform.sessions, list_only)
    with pytest.raises(ClientFailure, match=rf"s3://{bucket.name}/in/a\.csv \(AccessDenied: .*s3:GetObject"):
        limited.download(limited.objects("S3Prefix", bucket.uri("in/")), tmp_path)
    (tmp_path / "b.csv").write_text("b")
    with pytest.raises(ClientFailure, match=rf"s3://{bucket.name}/out/b\.csv \(AccessDenied: .*s3:PutObject"):
        limited.upload(tmp_path, S3Uri.parse(bucket.uri("out/")))
