"""The ledger: which versions of which files were processed, and with which result."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from shared import table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from plan_run.raw_objects import RawObject

QUARANTINED = "QUARANTINED"


class Entry(NamedTuple):
    """The result of the last run that processed a file, and the time of the entry."""

    etag: str
    status: str
    updated_at: datetime


class Ledger:
    """The entries by the files' keys."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    @property
    def holds_data(self) -> bool:
        """Whether any file was ever ingested."""
        return any(entry.status != QUARANTINED for entry in self._entries.values())

    @property
    def updated_at(self) -> datetime | None:
        """The time of the newest entry."""
        return max((entry.updated_at for entry in self._entries.values()), default=None)

    def lists(self, item: RawObject) -> bool:
        """Return whether this version of the file was processed."""
        entry = self._entries.get(item.key)
        return entry is not None and entry.etag == item.etag

    def quarantines(self, item: RawObject) -> bool:
        """Return whether this version of the file was refused."""
        return self.lists(item) and self._entries[item.key].status == QUARANTINED


def read_ledger(dynamodb: DynamoDBClient, table_name: str) -> Ledger:
    """Read the whole ledger with consistent reads."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table_name,
        KeyConditionExpression="pk = :ledger",
        ExpressionAttributeValues={":ledger": {"S": table.LEDGER}},
        ProjectionExpression="sk, etag, #status, updatedAt",
        ExpressionAttributeNames={"#status": "status"},
        ConsistentRead=True,
    )
    return Ledger(
        {
            item["sk"]["S"]: Entry(
                item["etag"]["S"],
                item["status"]["S"],
                datetime.fromisoformat(item["updatedAt"]["S"]),
            )
            for page in pages
            for item in page["Items"]
        }
    )
