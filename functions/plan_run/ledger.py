"""The ledger: which versions of which files were processed, and with which result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from plan_run.forgetting import Requests
from shared import table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from plan_run.raw_objects import RawObject

QUARANTINED = "QUARANTINED"
UNREADABLE = "UNREADABLE"  # ingestion could not read the object
SET_ASIDE = "SET_ASIDE"  # planning found that no job can take the object
INGESTED = "INGESTED"


class Entry(NamedTuple):
    """The result of the last run that processed a file, and the time of the entry."""

    etag: str
    status: str
    updated_at: datetime
    holds_records: bool  # whether records of this key may exist, of this version or an earlier one
    size: int = 0  # in bytes; 0 if unknown


class Ledger:
    """The entries by the files' keys, the attempts that no entry followed, and what is to be forgotten.

    Args:
        entries: by key.
        attempts: the version of each file that a run planned without recording it, by key.
        requests: what operators want to be forgotten.
    """

    def __init__(self, entries: Mapping[str, Entry], attempts: Mapping[str, str], requests: Requests) -> None:
        self._entries, self.attempts, self.requests = entries, attempts, requests

    def with_requests(self, requests: Requests) -> Ledger:
        """Return the ledger with further requests."""
        return Ledger(self._entries, self.attempts, self.requests.joined(requests))

    @property
    def holds_data(self) -> bool:
        """Whether any file was ever ingested, and not forgotten since."""
        return any(entry.holds_records for entry in self._entries.values())

    @property
    def updated_at(self) -> datetime | None:
        """The time of the newest entry."""
        return max((entry.updated_at for entry in self._entries.values()), default=None)

    @property
    def keys(self) -> list[str]:
        """The keys of all files that a run has planned or recorded."""
        return sorted(self._entries.keys() | self.attempts.keys())

    def etag(self, key: str) -> str | None:
        """Return the version of a file that was processed last; None if there is none."""
        return self._entries[key].etag if key in self._entries else None

    def ingested(self, key: str) -> str | None:
        """Return the version of a file whose rows are records; None if no run recorded one, or forgot it."""
        entry = self._entries.get(key)
        return entry.etag if entry is not None and entry.status == INGESTED else None

    def lists(self, item: RawObject) -> bool:
        """Return whether this version of the file was processed, or is forgotten or to be forgotten.

        After an attempt that was not recorded, no version counts: records of another one may exist.
        """
        if self.requests.names(item):
            return True
        return self._status(item) not in (None, SET_ASIDE) and item.key not in self.attempts

    def refuses(self, item: RawObject) -> bool:
        """Return whether this version of the file was refused by a job."""
        return self.lists(item) and self._status(item) in (QUARANTINED, UNREADABLE)

    def sets_aside(self, item: RawObject) -> bool:
        """Return whether an earlier plan set this version of the file aside."""
        return self._status(item) == SET_ASIDE

    def _status(self, item: RawObject) -> str | None:
        entry = self._entries.get(item.key)
        return entry.status if entry is not None and entry.etag == item.etag else None

    def may_hold_records(self, key: str) -> bool:
        """Return whether the feature store may have records of this file."""
        return key in self.attempts or (key in self._entries and self._entries[key].holds_records)

    def kept_bytes(self, present: Iterable[RawObject]) -> int:
        """Return the size of the files that may have records, but that are not among these objects.

        Their keys were deleted from raw/, or the version there was refused and an earlier one has records.
        """
        there = {item.key for item in present}
        kept = (entry for key, entry in self._entries.items() if key not in there and entry.holds_records)
        return sum(entry.size for entry in kept)

    def replaces(self, item: RawObject) -> bool:
        """Return whether the feature store may have records of other versions of this file."""
        entry = self._entries.get(item.key)
        other = self.attempts.get(item.key, item.etag) != item.etag
        return other or (entry is not None and entry.holds_records)


def read_ledger(dynamodb: DynamoDBClient, table_name: str) -> Ledger:
    """Read the whole ledger with consistent reads."""
    names = ("sk", "etag", "status", "updatedAt", "holdsRecords", "size")
    entries = {
        item["sk"]["S"]: Entry(
            item.get("etag", {}).get("S", ""),
            item["status"]["S"],
            datetime.fromisoformat(item["updatedAt"]["S"]),
            item.get("holdsRecords", {}).get("BOOL", item["status"]["S"] == INGESTED),
            int(item.get("size", {}).get("N", 0)),
        )
        for item in read_items(dynamodb, table_name, table.LEDGER, names)
    }
    attempts = {
        item["sk"]["S"]: item["etag"]["S"]
        for item in read_items(dynamodb, table_name, table.ATTEMPTS, ("sk", "etag"))
    }
    requests = read_items(dynamodb, table_name, table.FORGET, ("sk", "etag", "status"))
    return Ledger(entries, attempts, Requests.of(requests))


def read_items(
    dynamodb: DynamoDBClient, table_name: str, partition: str, attributes: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """Yield these attributes of a partition's items; some have names that DynamoDB reserves."""
    names = {f"#{name}": name for name in attributes}
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table_name,
        KeyConditionExpression="pk = :partition",
        ExpressionAttributeValues={":partition": {"S": partition}},
        ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
        ConsistentRead=True,
    )
    for page in pages:
        yield from page["Items"]
