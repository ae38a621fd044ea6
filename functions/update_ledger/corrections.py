"""What a run deleted: its items in the table, and the notification's sentences about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from shared import table
from update_ledger.text import count

if TYPE_CHECKING:
    from shared.plan import Forgetting, Plan
    from update_ledger.ingestion import Deletions

SHOWN = 5  # names in the notification


def forgotten_items(
    forget: Forgetting, deletions: Deletions, execution: str, updated_at: str
) -> Iterator[dict[str, Any]]:
    """Yield an item per forgotten file and id.

    A file whose key was deleted has no etag: if it is uploaded again, whatever its content, it is ingested.
    """
    about = {"execution": {"S": execution}, "updatedAt": {"S": updated_at}}
    for file in forget.files:
        yield {
            **table.key(table.LEDGER, file.key),
            **({"etag": {"S": file.etag}} if file.etag else {}),
            "status": {"S": "FORGOTTEN"},
            "eventTime": {"S": forget.at},
            "deletedRecords": {"N": str(deletions.files.get(file.key, 0))},
            "holdsRecords": {"BOOL": False},
            "reason": {"S": "forgotten on request" if file.etag is not None else "deleted from raw/"},
            **about,
        }
    for name in forget.ids:
        yield {
            **table.key(table.FORGET, f"{table.FORGET_ID}{name}"),
            "status": {"S": "FORGOTTEN"},
            "eventTime": {"S": forget.at},
            **about,
        }


def settled_keys(
    items: Iterable[dict[str, Any]], forgotten: Iterable[dict[str, Any]], overtaken: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Yield the keys of the items that these items settle: attempts, and requests to forget a file.

    Args:
        items: the ledger's entries of planned and set aside versions.
        forgotten: the entries of what was forgotten.
        overtaken: keys with a request to forget an earlier version. It ends when a later one is ingested, and
            not when that one is refused, since the earlier records stay.
    """
    for item in items:
        yield table.key(table.ATTEMPTS, item["sk"]["S"])
        if item["sk"]["S"] in overtaken and item["status"]["S"] == "INGESTED":
            yield table.key(table.FORGET, f"{table.FORGET_FILE}{item['sk']['S']}")
    for item in forgotten:
        if item["pk"]["S"] == table.LEDGER:
            yield table.key(table.ATTEMPTS, item["sk"]["S"])
            yield table.key(table.FORGET, f"{table.FORGET_FILE}{item['sk']['S']}")


def summarize_deletions(plan: Plan, deletions: Deletions) -> str:
    """Return the notification's sentences about what was deleted; nothing if the run deleted nothing."""
    forget = plan.forget
    asked = {file.key for file in forget.files} if forget else set()
    replaced = sum(number for key, number in deletions.files.items() if key not in asked)
    sentences = []
    if replaced:
        sentences.append(f"Deleted: {count(replaced, 'record')} that replaced files no longer have.")
    if forget:
        sentences.append(describe_forgotten(forget, deletions))
    return " ".join(sentences)


def describe_forgotten(forget: Forgetting, deletions: Deletions) -> str:
    """Return what was forgotten, with the ids that no record had."""
    records = sum(deletions.files.get(file.key, 0) for file in forget.files) + deletions.ids
    what = [count(len(names), noun) for names, noun in ((forget.files, "file"), (forget.ids, "id")) if names]
    text = f"Forgotten: {' and '.join(what)}, {count(records, 'record')}."
    if unknown := deletions.unknown_ids:
        more = f" and {len(unknown) - SHOWN:,} more" if len(unknown) > SHOWN else ""
        text += (
            f" No record has the id {', '.join(unknown[:SHOWN])}{more}; later files cannot bring it either."
        )
    return text
