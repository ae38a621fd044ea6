"""The raw objects: versions of the files under raw/."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RAW = "raw/"
STANDARD = "STANDARD"


class RawObject(NamedTuple):
    """A version of a file; `modified` is its time of arrival."""

    key: str
    etag: str
    size: int
    modified: datetime
    storage_class: str = STANDARD

    @property
    def name(self) -> str:
        """The key below raw/."""
        return self.key.removeprefix(RAW)


def list_objects(s3: S3Client, bucket: str) -> Iterator[RawObject]:
    """Yield every object under raw/."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RAW):
        for entry in page.get("Contents", []):
            yield RawObject(
                entry["Key"],
                entry["ETag"].strip('"'),
                entry["Size"],
                entry["LastModified"],
                entry.get("StorageClass", STANDARD),
            )
