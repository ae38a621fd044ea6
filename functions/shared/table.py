"""The keys of the stack's table.

Its partitions (`pk`) hold different kinds of item, and each role may use its own only (`dynamodb:LeadingKeys`
in template.yaml):

- `OBJECT`, the ledger: one item per file under raw/, with the file's key as `sk`.
- `BUILD`: one item per image build in progress, with the build's id as `sk`.
- `LOCK`: the lock of the workflow, one item. No function uses it: its key is in `statemachine/lock.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

LEDGER = "OBJECT"
BUILDS = "BUILD"


def key(partition: str, sort: str) -> dict[str, AttributeValueTypeDef]:
    """Return the key of an item, as DynamoDB's API takes it."""
    return {"pk": {"S": partition}, "sk": {"S": sort}}
