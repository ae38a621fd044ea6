"""Replacements: files under a key that was ingested before, and keys that are no longer under raw/."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from plan_run.plan import Event, timestamp
from shared import batches, table
from shared.plan import PlannedObject

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from plan_run.ledger import Ledger
    from plan_run.raw_objects import RawObject

SHOWN = 5  # names in a note
SEVERAL = "*"  # of an attempt: versions that differ were planned


def planned(event: Event, ledger: Ledger) -> PlannedObject:
    """Return an object's entry in the plan, with whether it replaces records."""
    item = event.item
    return PlannedObject(
        key=item.key,
        etag=item.etag,
        size=item.size,
        event_time=timestamp(event.time),
        replaces=ledger.replaces(item),
    )


def gone_keys(ledger: Ledger, present: Iterable[str]) -> list[str]:
    """Return the keys that may have records, but that are no longer under raw/."""
    there = set(present)
    return [key for key in ledger.keys if key not in there and ledger.may_hold_records(key)]


def describe_gone(gone: list[str]) -> str:
    """Return a sentence about keys whose records are kept; nothing if there are none."""
    if not gone:
        return ""
    more = f" and {len(gone) - SHOWN:,} more" if len(gone) > SHOWN else ""
    subject = "1 ingested file is" if len(gone) == 1 else f"{len(gone):,} ingested files are"
    return (
        f"{subject} no longer under raw/, and the records are kept: {', '.join(gone[:SHOWN])}{more}. "
        "docs/usage.md says how to forget them."
    )


def save_attempts(
    dynamodb: DynamoDBClient, table_name: str, planned: Iterable[RawObject], ledger: Ledger
) -> None:
    """Write down what a run is going to ingest, before it does.

    A run that fails, or that is stopped, may have written records of a version that the ledger never lists.
    The next version has to replace these too.
    """
    items = []
    for item in planned:
        earlier = ledger.attempts.get(item.key, item.etag)
        version = item.etag if earlier == item.etag else SEVERAL
        items.append({**table.key(table.ATTEMPTS, item.key), "etag": {"S": version}})
    batches.write(dynamodb, table_name, items)
