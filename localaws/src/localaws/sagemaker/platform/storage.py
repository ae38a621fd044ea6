"""S3, as the role of a job: what is downloaded before it and uploaded after it."""

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
# One thread a file: files travel side by side, and a part is all that is held in memory.
TRANSFER = TransferConfig(multipart_threshold=64 << 20, multipart_chunksize=16 << 20, use_threads=False)
MANIFEST_BYTES = 256 << 20

_S3_ERRORS = (ClientError, BotoCoreError, Boto3Error)
_T = TypeVar("_T")


@dataclass(frozen=True)
class S3Uri:
    """s3://bucket/key, where the key may be a prefix and may be empty."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Uri:
        """Take a URI apart.

        Raises:
            ValidationException: it is not one of S3's.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise ValidationException(f"{uri!r} is not a valid S3 URI: it has to look like s3://bucket/key")
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
        uri: where it lies.
        relative: its name below the input's prefix, with slashes.
    """

    uri: S3Uri
    relative: str


class Storage:
    """S3 as a role; what goes wrong is a job's failure, in SageMaker's words."""

    def __init__(self, sessions: Sessions, role_arn: str) -> None:
        self._sessions = sessions
        self._role_arn = role_arn

    @property
    def client(self) -> S3Client:
        """A client with valid credentials: take it anew for each piece of work."""
        return self._sessions.client("s3", self._role_arn)

    def objects(self, data_type: str, uri: str) -> list[S3Object]:
        """What an S3DataSource names, in order.

        Args:
            data_type: "S3Prefix" or "ManifestFile".
            uri: the prefix, or the manifest.

        Raises:
            ClientFailure: it cannot be listed, or names nothing.
        """
        location = S3Uri.parse(uri)
        found = self._manifest(location) if data_type == "ManifestFile" else self.listed(location)
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
            ClientFailure: one of them cannot be had or has no place.
        """
        client = self.client
        targets = [(item, _place(folder, item)) for item in objects]
        _side_by_side(lambda target: self.download_file(target[0].uri, target[1], client), targets)

    def download_file(self, uri: S3Uri, path: Path, client: S3Client | None = None) -> None:
        """Download an object.

        Raises:
            ClientFailure: it cannot be had.
        """
        with self._failing("Data download failed: Unable to download object", uri, "s3:GetObject"):
            path.parent.mkdir(parents=True, exist_ok=True)
            (client or self.client).download_file(uri.bucket, uri.key, str(path), Config=TRANSFER)

    def upload(self, folder: Path, uri: S3Uri) -> None:
        """Upload the files of a folder under a prefix; symbolic links are not followed, as on AWS.

        Raises:
            ClientFailure: one of them cannot be written.
        """
        client = self.client
        _side_by_side(
            lambda path: self.upload_file(path, uri / path.relative_to(folder).as_posix(), client),
            list(files(folder)),
        )

    def upload_file(self, path: Path, uri: S3Uri, client: S3Client | None = None) -> None:
        """Upload a file.

        Raises:
            ClientFailure: it cannot be written.
        """
        with (
            self._failing("Artifact upload failed: Unable to upload object", uri, "s3:PutObject"),
            path.open("rb") as file,
        ):
            (client or self.client).upload_fileobj(file, uri.bucket, uri.key, Config=TRANSFER)

    def delete_file(self, uri: S3Uri) -> None:
        """Delete an object.

        Raises:
            ClientFailure: it cannot be deleted.
        """
        with self._failing("Unable to delete object", uri, "s3:DeleteObject"):
            self.client.delete_object(Bucket=uri.bucket, Key=uri.key)

    def listed(self, prefix: S3Uri) -> list[S3Object]:
        """The objects under a prefix, none perhaps.

        Raises:
            ClientFailure: it cannot be listed.
        """
        with self._failing("Data download failed: Unable to list objects under", prefix, "s3:ListBucket"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=prefix.bucket, Prefix=prefix.key
            )
            keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [
            S3Object(S3Uri(prefix.bucket, key), relative_name(prefix.key, key))
            for key in keys
            if not key.endswith("/")  # the consoles' folders
        ]

    def _manifest(self, uri: S3Uri) -> list[S3Object]:
        with self._failing("Data download failed: Unable to download manifest", uri, "s3:GetObject"):
            answer = self.client.get_object(Bucket=uri.bucket, Key=uri.key)
            if answer["ContentLength"] > MANIFEST_BYTES:
                raise ClientFailure(f"The manifest {uri} is larger than {MANIFEST_BYTES} bytes")
            content = answer["Body"].read()
        try:
            head, *names = json.loads(content)
            prefix = S3Uri.parse(head["prefix"])
            if not all(isinstance(name, str) for name in names):
                raise TypeError("a name in it is not a string")
        except (ValueError, TypeError, KeyError, ValidationException) as error:
            raise ClientFailure(
                f"The manifest {uri} is malformed: it has to be a JSON array of "
                f'{{"prefix": "s3://bucket/prefix/"}} and names that go on from there ({error!r})'
            ) from error
        return [S3Object(S3Uri(prefix.bucket, prefix.key + name), name.lstrip("/")) for name in names]

    @contextmanager
    def _failing(self, what: str, uri: S3Uri, action: str) -> Iterator[None]:
        try:
            yield
        except _S3_ERRORS as error:
            raise ClientFailure(f"{what} {uri} ({_reason(error, action, self._role_arn)})") from error
        except OSError as error:
            raise ClientFailure(f"{what} {uri} ({error})") from error


def files(folder: Path) -> Iterator[Path]:
    """The regular files under a folder, in order; links are not followed."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for path in (Path(parent, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink():
                yield path


def relative_name(prefix: str, key: str) -> str:
    """What of a key is below the prefix: its last part at least, since a prefix may end inside a part."""
    if key.startswith(prefix) and (prefix.endswith("/") or not prefix):
        return key[len(prefix) :]
    if key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def _place(folder: Path, item: S3Object) -> Path:
    parts = item.relative.split("/")
    if "" in parts:
        raise ClientFailure(
            f"Data download failed: Failed to download data. S3 key: {item.uri} has an illegal char "
            "sub-sequence '//' in it"
        )
    if ".." in parts or "." in parts or "\0" in item.relative:
        raise ClientFailure(f"Data download failed: The S3 key {item.uri} leads out of its folder")
    return folder.joinpath(*parts)


def _side_by_side(work: Callable[[_T], None], items: Sequence[_T]) -> None:
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
        # What HEAD answers has no words of its own.
        message = f"{message.rstrip('.')}. " if code == "AccessDenied" and message else ""
        return f"AccessDenied: {message}The role {role_arn} is not allowed to do {action} here"
    if code in ("404", "NoSuchKey"):
        return "NoSuchKey (404): The specified key does not exist"
    return f"{code}: {message}"
