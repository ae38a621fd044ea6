"""Delete the records that replaced files no longer have, and those of forgotten files and ids.

A record belongs to the file that gave it last: it is deleted when a later version of this file does not have
it, and stays if another file has it since then.

The offline store is queried when all records of the run are visible. So the query finds what the new
versions have, and what other files of the same run have taken over. It compares with times, not with the
current state: a job that is repeated finds the same records again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processing.errors import PlanError
from processing.ingestion.identity import identity
from processing.ingestion.offline_store import Expected, OfflineStore, identifier, literal
from processing.ingestion.plan import check_time, read

QUERY_BYTES = 100_000  # of the names in one query; Athena takes 262,144 in all
# Each version of each record, with the time of the next one and whether that one is a deletion. Of the
# versions of one time the last call counts: a repeated job may write what its first attempt deleted.
VERSIONS = """
SELECT record_id, source, event_time, is_deleted,
lead(event_time) OVER (PARTITION BY record_id ORDER BY event_time) AS next_time,
lead(is_deleted) OVER (PARTITION BY record_id ORDER BY event_time) AS next_deleted,
first_value(is_deleted) OVER (PARTITION BY record_id ORDER BY event_time DESC) AS ends_deleted
FROM (SELECT record_id, source, event_time, is_deleted, row_number() OVER (
PARTITION BY record_id, event_time ORDER BY api_invocation_time DESC, write_time DESC) AS place FROM {table})
WHERE place = 1
"""
# A version that was the latest one before a time; at that time the record has no version, or a deletion.
LATEST_BEFORE = (
    "event_time < '{time}' AND (next_time IS NULL OR next_time > '{time}' "
    "OR (next_time = '{time}' AND next_deleted))"
)
# Another file has not taken the record over since that time.
NOT_TAKEN_OVER = "(next_time IS NULL OR ends_deleted)"

Delete = Callable[[Iterable[tuple[str, str]]], None]  # of pairs of an id and an event time


@dataclass(frozen=True, slots=True)
class Deletions:
    """What the plan says of deletions.

    Attributes:
        replaced: the event time of each planned object that may replace records, by its key.
        files: the keys of the files whose records are forgotten.
        ids: the ids whose records are forgotten.
        at: the event time of what is forgotten; empty if nothing is.
        forgotten: all ids that no file may bring again.
    """

    replaced: Mapping[str, str]
    files: tuple[str, ...]
    ids: tuple[str, ...]
    at: str
    forgotten: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.replaced) or self.forgets

    @property
    def forgets(self) -> bool:
        """Return whether the plan forgets, which depends on no file of the run."""
        return bool(self.files or self.ids)


@dataclass(slots=True)
class DeletionReport:
    """How many records were deleted, and whether the plan forgets."""

    forgets: bool = False
    files: Counter[str] = field(default_factory=Counter)  # by the file that gave them
    ids: int = 0
    unknown_ids: list[str] = field(default_factory=list)  # that no record has

    def content(self) -> dict[str, Any]:
        """Return the report's entry."""
        return {
            "forgets": self.forgets,
            "files": dict(sorted(self.files.items())),
            "ids": self.ids,
            "unknownIds": self.unknown_ids,
        }

    def __str__(self) -> str:
        lines = [f"{key}: {count:,} records deleted" for key, count in sorted(self.files.items())]
        if self.ids or self.unknown_ids:
            lines.append(f"{self.ids:,} records of forgotten ids deleted")
        return "; ".join(lines) or "no record to delete"


def read_deletions(file: Path) -> Deletions:
    """Read what the plan says of deletions.

    Raises:
        PlanError: It is not valid.
    """
    plan = read(file)
    try:
        replaced = {item["key"]: item["eventTime"] for item in plan["objects"] if item.get("replaces")}
        forget = plan.get("forget") or {}
        files = tuple(str(item["key"]) for item in forget.get("files", []))
        ids = normalized(forget.get("ids", []))
        deletions = Deletions(
            replaced,
            files,
            tuple(ids),
            forget.get("at", ""),
            frozenset(normalized(plan.get("forgottenIds", []))),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"{file.name} is not a valid plan: {type(error).__name__} {error}") from error
    for key, time in replaced.items():
        check_time(file, f"the eventTime of {key}", time)
    if files or ids:
        check_time(file, "forget.at", deletions.at)
    return deletions


def normalized(ids: Iterable[str]) -> list[str]:
    """Return ids in the spelling that records have."""
    return sorted({identity(name.strip(), "id") for name in ids})


def delete_records(
    deletions: Deletions, ingested: Iterable[str], store: OfflineStore, delete: Delete
) -> tuple[DeletionReport, Expected]:
    """Delete, and return the number of deleted records, by file and by event time.

    Args:
        deletions: What the plan says.
        ingested: The keys of the objects that were ingested; one that was quarantined whole replaces nothing.
        store: The offline store, where the run's records are visible.
        delete: Deletes records.
    """
    report, expected = DeletionReport(deletions.forgets), Counter[tuple[str, str]]()
    found: set[str] = set()
    for names in chunks(deletions.ids):
        rows = store.find(ids_query(store.table, names, deletions.at))
        found.update(name for name, _ in rows)
    delete((name, deletions.at) for name in sorted(found))
    report.ids = len(found)
    report.unknown_ids = [name for name in deletions.ids if name not in found]
    times = {key: deletions.replaced[key] for key in ingested if key in deletions.replaced}
    times |= dict.fromkeys(deletions.files, deletions.at)

    def records(keys: Iterable[str]) -> Iterator[tuple[str, str]]:
        for name, key in store.find(files_query(store.table, {key: times[key] for key in keys})):
            if name in found:  # by its id
                continue
            report.files[key] += 1
            expected["", times[key]] += 1
            yield name, times[key]

    for keys in chunks(sorted(times)):
        delete(records(keys))
    if found:
        expected["", deletions.at] += len(found)
    return report, expected


def ids_query(table: str, names: Iterable[str], at: str) -> str:
    """Return the query for the records of these ids, with the file of each."""
    listed = ", ".join(map(literal, names))
    return select(table, f"record_id IN ({listed}) AND {LATEST_BEFORE.format(time=at)}")


def files_query(table: str, times: Mapping[str, str]) -> str:
    """Return the query for the records that each file gave before its time, and no file since then."""
    conditions = [
        f"(source = {literal(key)} AND {LATEST_BEFORE.format(time=time)})" for key, time in times.items()
    ]
    return select(table, f"{NOT_TAKEN_OVER} AND ({' OR '.join(conditions)})")


def select(table: str, condition: str) -> str:
    """Return a query for versions that are no deletions."""
    versions = VERSIONS.format(table=identifier(table)).strip().replace("\n", " ")
    return f"SELECT record_id, source FROM ({versions}) WHERE NOT is_deleted AND {condition}"  # noqa: S608


def chunks(names: Iterable[str]) -> Iterator[list[str]]:
    """Group names so that each group fits a query."""
    group: list[str] = []
    size = 0
    for name in names:
        more = len(literal(name).encode()) + len(LATEST_BEFORE.encode()) * 2
        if group and size + more > QUERY_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += more
    if group:
        yield group
