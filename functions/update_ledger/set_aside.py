"""What the plan set aside, and what waits for a later run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from shared import table

if TYPE_CHECKING:
    from shared.plan import Plan, SetAsideObject
    from update_ledger.ingestion import Ingestion

STATUS = "SET_ASIDE"
SHOWN_FILES = 5  # that the notification names; the ledger has them all
SHOWN_REASON = 160  # characters


def set_aside_items(
    objects: Iterable[SetAsideObject], execution: str, updated_at: str
) -> Iterator[dict[str, Any]]:
    """Yield a ledger item per version that no job can take, whatever the run's outcome."""
    for item in objects:
        yield {
            **table.key(table.LEDGER, item.key),
            "etag": {"S": item.etag},
            "size": {"N": str(item.size)},
            "status": {"S": STATUS},
            "reason": {"S": item.reason},
            "holdsRecords": {"BOOL": item.holds_records},
            "execution": {"S": execution},
            "updatedAt": {"S": updated_at},
        }


def vanished_keys(ingestion: Ingestion, held: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the keys of attempts that came to nothing: the object vanished, and its key never had records.

    Args:
        held: keys that may have records.
    """
    for file in ingestion.of_verdict("VANISHED"):
        if file.key not in held:
            yield table.key(table.ATTEMPTS, file.key)


def summarize_set_aside(plan: Plan) -> str:
    """Return the notification's sentences about what was set aside and what waits; empty if nothing."""
    sentences = []
    if plan.set_aside:
        named = "; ".join(
            f"{item.key}: {item.reason[:SHOWN_REASON]}" for item in plan.set_aside[:SHOWN_FILES]
        )
        more = len(plan.set_aside) - SHOWN_FILES
        end = f"; and {more} more." if more > 0 else "."
        sentences.append(f"Set aside, since no job can take them: {named}{end}")
    if number := len(plan.waiting):
        waiting = f"{number:,} file waits" if number == 1 else f"{number:,} files wait"
        sentences.append(f"Too much for one run: {waiting} for the next one.")
    return " ".join(sentences)
