"""The plan that a run was started with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, TypeAdapter

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class PlannedObject(BaseModel):
    """A version of a file under raw/, as the run saw it."""

    key: str
    etag: str
    size: int
    event_time: str = Field(alias="eventTime")


def read_plan(s3: S3Client, uri: str) -> list[PlannedObject]:
    """The objects that were new."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return TypeAdapter(list[PlannedObject]).validate_python(json.loads(body)["objects"])
