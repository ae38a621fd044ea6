"""The plan of a run: plan.json, the list of the objects that it ingests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from shared.documents import Document, read_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class PlannedObject(Document):
    """A version of a file under raw/, and the event time that its records get (ISO 8601 in UTC)."""

    key: str
    etag: str
    size: int
    event_time: str


def plan_body(objects: Iterable[PlannedObject]) -> bytes:
    """Return the content of plan.json."""
    return json.dumps({"objects": [item.model_dump(by_alias=True) for item in objects]}).encode()


def read_plan(s3: S3Client, uri: str) -> list[PlannedObject]:
    """Read the objects of a plan.json."""
    return TypeAdapter(list[PlannedObject]).validate_python(read_json(s3, uri)["objects"])
