"""Making a plan: the event times of the new objects, and plan.json."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from shared.documents import write_json
from shared.plan import Plan, plan_body

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plan_run.raw_objects import RawObject

TICK = timedelta(milliseconds=1)  # the feature store's resolution of an event time
NAME_CHARACTERS = 16  # of the SHA-256 that names a plan


class Event(NamedTuple):
    """An object and its event time, which its records get."""

    item: RawObject
    time: datetime


def time_events(objects: Iterable[RawObject], after: datetime | None) -> list[Event]:
    """Assign each object a distinct, increasing time: of several versions of a record the last one wins.

    S3 reports times in whole seconds, and the time of a multipart upload is that of its start. With a time
    later than every ledger entry, a new object cannot change a dataset as of a past time.
    """
    events: list[Event] = []
    latest = after
    for item in objects:
        latest = max(item.modified, latest + TICK) if latest else item.modified
        events.append(Event(item, latest))
    return events


def write_plan(s3: S3Client, bucket: str, plan: Plan) -> str:
    """Write plan.json below plans/ and return the name of its folder.

    The name is the hash of what the jobs read, so that a run with the same plan finds the earlier ingestion
    in the pipeline's cache.
    """
    name = hashlib.sha256(plan_body(plan.for_jobs())).hexdigest()[:NAME_CHARACTERS]
    write_json(s3, f"s3://{bucket}/plans/{name}/plan.json", plan_body(plan))
    return name


def timestamp(time: datetime) -> str:
    """Return the time as ISO 8601 in UTC with milliseconds, as in the feature store and its queries."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
