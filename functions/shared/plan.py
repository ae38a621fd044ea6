"""The plan of a run, plan.json: what it ingests, deletes, sets aside, and leaves to the next run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shared.documents import Document, read_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Version(Document):
    """A version of a file under raw/."""

    key: str
    etag: str


class PlannedObject(Version):
    """A version that the run ingests, and the event time that its records get (ISO 8601 in UTC)."""

    size: int
    event_time: str
    replaces: bool = False  # whether records of the same key may exist that this version no longer has


class SetAsideObject(Version):
    """A version that no job can take, found by this plan, and why."""

    size: int
    reason: str
    holds_records: bool = False  # whether records of an earlier version may exist


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
    set_aside: tuple[SetAsideObject, ...] = ()
    waiting: tuple[Version, ...] = ()  # for a later run: this one has no room for them
    held: tuple[str, ...] = ()  # keys of planned objects whose records may have existed before this run
    overtaken: tuple[str, ...] = ()  # keys of planned objects with a request to forget an earlier version

    def versions(self) -> set[tuple[str, str]]:
        """Return the key and the ETag of each object that this plan knows."""
        return {(item.key, item.etag) for item in (*self.objects, *self.set_aside, *self.waiting)}

    def for_jobs(self) -> Plan:
        """Return the part of the plan that the jobs read."""
        return self.model_copy(update={"set_aside": (), "waiting": (), "held": (), "overtaken": ()})


def plan_body(plan: Plan) -> bytes:
    """Return the content of plan.json, without what is empty."""
    content = plan.model_dump(by_alias=True, exclude_defaults=True)
    return json.dumps({"objects": [], **content}).encode()


def read_plan(s3: S3Client, uri: str) -> Plan:
    """Read a plan.json."""
    return Plan.model_validate(read_json(s3, uri))
