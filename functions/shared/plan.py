"""The plan of a run, plan.json: the objects that it ingests, and what it deletes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shared.documents import Document, read_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class PlannedObject(Document):
    """A version of a file under raw/, and the event time that its records get (ISO 8601 in UTC)."""

    key: str
    etag: str
    size: int
    event_time: str
    replaces: bool = False  # whether records of the same key may exist that this version no longer has


class ForgottenFile(Document):
    """A file whose records are deleted; without an etag, its key is gone, and any content is new."""

    key: str
    etag: str | None = None


class Forgetting(Document):
    """What the run deletes, with the event time of the deletions (ISO 8601 in UTC)."""

    at: str
    files: tuple[ForgottenFile, ...] = ()
    ids: tuple[str, ...] = ()


class Plan(Document):
    """The content of plan.json."""

    objects: tuple[PlannedObject, ...] = ()
    forget: Forgetting | None = None
    forgotten_ids: tuple[str, ...] = ()  # of this run and of earlier ones: no file may bring them again


def plan_body(plan: Plan) -> bytes:
    """Return the content of plan.json, without what is empty."""
    content = plan.model_dump(by_alias=True, exclude_defaults=True)
    return json.dumps({"objects": [], **content}).encode()


def read_plan(s3: S3Client, uri: str) -> Plan:
    """Read a plan.json."""
    return Plan.model_validate(read_json(s3, uri))
