"""The keys of the stack's table.

Its partitions (`pk`) hold different kinds of item, and each role may use its own only (`dynamodb:LeadingKeys`
in template.yaml):

- `OBJECT`, the ledger: one item per file under raw/, with the file's key as `sk`.
- `ATTEMPT`: one item per file that a run planned and that no run has recorded yet, with the file's key as
  `sk`. Its records may be in the feature store: the run failed or was stopped after it had written them.
- `FORGET`: what an operator wants to be forgotten. `id#<id>` is kept, so that no later file brings the id
  again; `version#<etag>#<key>` is kept, so that the same content is not ingested under the key again;
  `file#<key>` is kept until the file's records are deleted or replaced.
- `BUILD`: one item per image build in progress, with the build's id as `sk`.
- `LOCK`: the lock of the workflow, one item. No function uses it: its key is in `statemachine/lock.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

LEDGER = "OBJECT"
ATTEMPTS = "ATTEMPT"
FORGET = "FORGET"
FORGET_ID, FORGET_FILE, FORGET_VERSION = "id#", "file#", "version#"  # what a `sk` of FORGET begins with
BUILDS = "BUILD"


def key(partition: str, sort: str) -> dict[str, AttributeValueTypeDef]:
    """Return the key of an item, as DynamoDB's API takes it."""
    return {"pk": {"S": partition}, "sk": {"S": sort}}
