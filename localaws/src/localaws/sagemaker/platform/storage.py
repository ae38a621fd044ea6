"""Download and upload of S3 objects with a job's role."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from localaws.sagemaker.api.errors import ClientFailure, ValidationException
from localaws.sagemaker.platform.sessions import Sessions

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_s3 import S3Client

PARALLEL_FILES = 8
# One thread per file: files are transferred in parallel, and each holds only one part in memory.
TRANSFER = TransferConfig(multipart_threshold=64 << 20, multipart_chunksize=16 << 20, use_threads=False)
MANIFEST_BYTES = 256 << 20

_S3_ERRORS = (ClientError, BotoCoreError, Boto3Error)
_T = TypeVar("_T")


@dataclass(frozen=True)
class S3Uri:
    """s3://bucket/key; the key can be a prefix or empty."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Uri:
        """Parse a URI.

        Raises:
            ValidationException: the URI is not an S3 URI.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise ValidationException(f"{uri!r} is not a valid S3 URI: it must have the form s3://bucket/key")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def __truediv__(self, relative: str) -> S3Uri:
        prefix = self.key if not self.key or self.key.endswith("/") else f"{self.key}/"
        return S3Uri(self.bucket, prefix + relative)


@dataclass(frozen=True)
class S3Object:
    """An object of a job's input.

    Attributes:
        uri: the object's URI.
        relative: the object's name relative to the input's prefix, with slashes.
    """

    uri: S3Uri
    relative: str


class Storage:
    """Access to S3 with a role; errors are raised as a job's failure, worded like SageMaker's."""

    def __init__(self, sessions: Sessions, role_arn: str) -> None:
        self._sessions = sessions
        self._role_arn = role_arn

    @property
    def client(self) -> S3Client:
        """An S3 client with current credentials; do not keep it, since credentials expire."""
        return self._sessions.client("s3", self._role_arn)

    def objects(self, data_type: str, uri: str) -> list[S3Object]:
        """Return the objects of an S3DataSource, in order.

        Args:
            data_type: "S3Prefix" or "ManifestFile".
            uri: the URI of the prefix or of the manifest.

        Raises:
            ClientFailure: the objects cannot be listed, or there are none.
        """
        location = S3Uri.parse(uri)
        found = self._manifest(location) if data_type == "ManifestFile" else self.list_objects(location)
        if not found:
            raise ClientFailure(
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
                f"the bucket exists in the selected region ({self._sessions.region}), that objects exist "
                f'under that S3 prefix, and that the role "{self._role_arn}" has "s3:ListBucket" permissions '
                f'on bucket "{location.bucket}".'
            )
        return found

    def download(self, objects: Sequence[S3Object], folder: Path) -> None:
        """Download objects into a folder, under their relative names.

        Raises:
            ClientFailure: an object cannot be downloaded, or its name is not a path inside the folder.
        """
        client = self.client
        targets = [(item, _target_path(folder, item)) for item in objects]
        _run_parallel(lambda target: self.download_file(target[0].uri, target[1], client), targets)

    def download_file(self, uri: S3Uri, path: Path, client: S3Client | None = None) -> None:
        """Download an object.

        Raises:
            ClientFailure: the object cannot be downloaded.
        """
        with self._as_failure("Data download failed: Unable to download object", uri, "s3:GetObject"):
            path.parent.mkdir(parents=True, exist_ok=True)
            (client or self.client).download_file(uri.bucket, uri.key, str(path), Config=TRANSFER)

    def upload(self, folder: Path, uri: S3Uri) -> None:
        """Upload the files of a folder under a prefix; symbolic links are not followed, as on AWS.

        Raises:
            ClientFailure: an object cannot be written.
        """
        client = self.client
        _run_parallel(
            lambda path: self.upload_file(path, uri / path.relative_to(folder).as_posix(), client),
            list(files(folder)),
        )

    def upload_file(self, path: Path, uri: S3Uri, client: S3Client | None = None) -> None:
        """Upload a file.

        Raises:
            ClientFailure: the object cannot be written.
        """
        with (
            self._as_failure("Artifact upload failed: Unable to upload object", uri, "s3:PutObject"),
            path.open("rb") as file,
        ):
            (client or self.client).upload_fileobj(file, uri.bucket, uri.key, Config=TRANSFER)

    def delete_file(self, uri: S3Uri) -> None:
        """Delete an object.

        Raises:
            ClientFailure: the object cannot be deleted.
        """
        with self._as_failure("Unable to delete object", uri, "s3:DeleteObject"):
            self.client.delete_object(Bucket=uri.bucket, Key=uri.key)

    def list_objects(self, prefix: S3Uri) -> list[S3Object]:
        """Return the objects under a prefix; the list can be empty.

        Raises:
            ClientFailure: the objects cannot be listed.
        """
        with self._as_failure("Data download failed: Unable to list objects under", prefix, "s3:ListBucket"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=prefix.bucket, Prefix=prefix.key
            )
            keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [
            S3Object(S3Uri(prefix.bucket, key), relative_name(prefix.key, key))
            for key in keys
            if not key.endswith("/")  # folder objects of the console
        ]

    def _manifest(self, uri: S3Uri) -> list[S3Object]:
        with self._as_failure("Data download failed: Unable to download manifest", uri, "s3:GetObject"):
            response = self.client.get_object(Bucket=uri.bucket, Key=uri.key)
            if response["ContentLength"] > MANIFEST_BYTES:
                raise ClientFailure(f"The manifest {uri} is larger than {MANIFEST_BYTES} bytes")
            content = response["Body"].read()
        try:
            head, *names = json.loads(content)
            prefix = S3Uri.parse(head["prefix"])
            if not all(isinstance(name, str) for name in names):
                raise TypeError("a name is not a string")
        except (ValueError, TypeError, KeyError, ValidationException) as error:
            raise ClientFailure(
                f"The manifest {uri} is malformed: it must be a JSON array of "
                f'{{"prefix": "s3://bucket/prefix/"}} and names relative to the prefix ({error!r})'
            ) from error
        return [S3Object(S3Uri(prefix.bucket, prefix.key + name), name.lstrip("/")) for name in names]

    @contextmanager
    def _as_failure(self, message: str, uri: S3Uri, action: str) -> Iterator[None]:
        try:
            yield
        except _S3_ERRORS as error:
            raise ClientFailure(f"{message} {uri} ({_reason(error, action, self._role_arn)})") from error
        except OSError as error:
            raise ClientFailure(f"{message} {uri} ({error})") from error


def files(folder: Path) -> Iterator[Path]:
    """Yield the regular files under a folder, in order; symbolic links are skipped."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for path in (Path(parent, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink():
                yield path


def relative_name(prefix: str, key: str) -> str:
    """Return a key relative to a prefix; a prefix that ends inside a part is cut at the last slash."""
    if key.startswith(prefix) and (prefix.endswith("/") or not prefix):
        return key[len(prefix) :]
    if key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def _target_path(folder: Path, item: S3Object) -> Path:
    parts = item.relative.split("/")
    if "" in parts:
        raise ClientFailure(
            f"Data download failed: Failed to download data. S3 key: {item.uri} has an illegal char "
            "sub-sequence '//' in it"
        )
    if ".." in parts or "." in parts or "\0" in item.relative:
        raise ClientFailure(f"Data download failed: The S3 key {item.uri} is a path outside its folder")
    return folder.joinpath(*parts)


def _run_parallel(work: Callable[[_T], None], items: Sequence[_T]) -> None:
    with ThreadPoolExecutor(PARALLEL_FILES, thread_name_prefix="s3") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _reason(error: Exception, action: str, role_arn: str) -> str:
    if not isinstance(error, ClientError):
        return str(error)
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    if code in ("403", "AccessDenied", "AccessDeniedException"):
        # The response to HEAD has no message.
        message = f"{message.rstrip('.')}. " if code == "AccessDenied" and message else ""
        return f"AccessDenied: {message}The role {role_arn} is not allowed to perform {action}"
    if code in ("404", "NoSuchKey"):
        return "NoSuchKey (404): The specified key does not exist"
    return f"{code}: {message}"
