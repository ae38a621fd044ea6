"""Writing items to the table in batches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchWriteItemInputTypeDef

BATCH_SIZE = 25  # items, DynamoDB's limit for BatchWriteItem
WRITE_ATTEMPTS = 8
FIRST_PAUSE = 0.1  # seconds, doubled after each attempt


class LedgerWriteError(Exception):
    """DynamoDB repeatedly refused a part of a batch."""


def write(dynamodb: DynamoDBClient, table: str, items: list[dict[str, Any]]) -> None:
    """Put all items, in batches."""
    for start in range(0, len(items), BATCH_SIZE):
        batch = items[start : start + BATCH_SIZE]
        write_batch(dynamodb, {"RequestItems": {table: [{"PutRequest": {"Item": item}} for item in batch]}})


def write_batch(dynamodb: DynamoDBClient, batch: BatchWriteItemInputTypeDef) -> None:
    """Put one batch; DynamoDB returns the items that it was too busy for."""
    for attempt in range(WRITE_ATTEMPTS):
        unprocessed = dynamodb.batch_write_item(**batch)["UnprocessedItems"]
        if not unprocessed:
            return
        batch = {"RequestItems": unprocessed}
        time.sleep(FIRST_PAUSE * 2**attempt)
    left = sum(len(requests) for requests in unprocessed.values())
    raise LedgerWriteError(
        f"DynamoDB left {left} items of table {', '.join(unprocessed)} unwritten after {WRITE_ATTEMPTS} "
        "attempts: it is throttled. Start the workflow again; it records the same objects."
    )
