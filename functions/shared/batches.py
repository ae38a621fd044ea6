"""Writing to the table in batches."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchWriteItemInputTypeDef, WriteRequestTypeDef

BATCH_SIZE = 25  # items, DynamoDB's limit for BatchWriteItem
WRITE_ATTEMPTS = 8
FIRST_PAUSE = 0.1  # seconds, doubled after each attempt


class LedgerWriteError(Exception):
    """DynamoDB repeatedly refused a part of a batch."""


def write(
    dynamodb: DynamoDBClient,
    table: str,
    items: Iterable[dict[str, Any]],
    removed: Iterable[dict[str, Any]] = (),
) -> None:
    """Put all items, and then delete those of the `removed` keys, in batches.

    A batch may not name an item twice, so that a key may not be in both.
    """
    requests: list[WriteRequestTypeDef] = [{"PutRequest": {"Item": item}} for item in items]
    requests += [{"DeleteRequest": {"Key": key}} for key in removed]
    for start in range(0, len(requests), BATCH_SIZE):
        write_batch(dynamodb, {"RequestItems": {table: requests[start : start + BATCH_SIZE]}})


def write_batch(dynamodb: DynamoDBClient, batch: BatchWriteItemInputTypeDef) -> None:
    """Write one batch; DynamoDB returns the items that it was too busy for."""
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
