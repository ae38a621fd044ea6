"""The raw objects: versions of the files under raw/."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RAW = "raw/"
NAME_BYTES = 800  # of a name as JSON, so that an exit message can hold it with a reason
PART_BYTES = 255  # of a name between slashes, a file system's limit


class RawObject(NamedTuple):
    """A version of a file; `modified` is its time of arrival."""

    key: str
    etag: str
    size: int
    modified: datetime


def list_objects(s3: S3Client, bucket: str) -> Iterator[RawObject]:
    """Yield every object under raw/ except the folders that the console creates."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RAW):
        for entry in page.get("Contents", []):
            if not (entry["Key"].endswith("/") and entry["Size"] == 0):
                yield RawObject(entry["Key"], entry["ETag"].strip('"'), entry["Size"], entry["LastModified"])


def partition(objects: Iterable[RawObject]) -> tuple[list[RawObject], list[RawObject]]:
    """Split the objects into those that a job can process, and those that it cannot by their names."""
    usable: list[RawObject] = []
    misnamed: list[RawObject] = []
    for item in objects:
        (usable if is_file_name(item.key.removeprefix(RAW)) else misnamed).append(item)
    return usable, misnamed


def is_file_name(name: str) -> bool:
    """Return whether a job can download the object as a file, and name it in its exit message."""
    parts = name.split("/")
    return (
        not {"", ".", ".."} & set(parts)
        and all(len(part.encode()) <= PART_BYTES for part in parts)
        and len(json.dumps(name, ensure_ascii=False).encode()) <= NAME_BYTES
    )
