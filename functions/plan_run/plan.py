"""The plan: which objects a run ingests, as of when, and the manifest that brings them to its jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from shared.documents import write_json
from shared.plan import PlannedObject, plan_body

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plan_run.raw_objects import RawObject

TICK = timedelta(milliseconds=1)  # the feature store's resolution of an event time
NAME_CHARACTERS = 16  # of the SHA-256 that names a plan


class Event(NamedTuple):
    """The arrival of an object; its records get this time."""

    item: RawObject
    time: datetime


def time_events(objects: Iterable[RawObject], after: datetime | None) -> list[Event]:
    """Gives each object a time of its own, in the given order: of a record's versions the last one wins.

    S3 tells times in whole seconds. And an upload in parts counts as modified when it began: later than
    all that the ledger knows, it cannot change a dataset as of a time that has passed.
    """
    events: list[Event] = []
    latest = after
    for item in objects:
        latest = max(item.modified, latest + TICK) if latest else item.modified
        events.append(Event(item, latest))
    return events


def write_plan(s3: S3Client, bucket: str, events: Iterable[Event]) -> str:
    """Writes plan.json and manifest.json below plans/ and returns their folder's name.

    The content gives the name, so that a run with the same plan finds its predecessor's ingestion in the
    pipeline's cache. The manifest lists the plan too, as SageMaker takes no input without objects.
    """
    planned = [
        PlannedObject(key=item.key, etag=item.etag, size=item.size, event_time=timestamp(time))
        for item, time in events
    ]
    body = plan_body(planned)
    name = hashlib.sha256(body).hexdigest()[:NAME_CHARACTERS]
    folder = f"plans/{name}"
    manifest = [{"prefix": f"s3://{bucket}/"}, f"{folder}/plan.json", *(item.key for item in planned)]
    for file, content in (("plan", body), ("manifest", json.dumps(manifest).encode())):
        write_json(s3, f"s3://{bucket}/{folder}/{file}.json", content)
    return name


def timestamp(time: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as the feature store and its queries have it."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
