"""Forgetting: which files' and ids' records a run deletes, and which ids no later file may bring again.

A request is written to the table before the run deletes anything. If the run fails, the next one deletes what
is pending: nobody has to repeat the request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

from pydantic import ConfigDict, StringConstraints

from shared import batches, table
from shared.documents import Document
from shared.plan import Forgetting, ForgottenFile

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from plan_run.ledger import Ledger
    from plan_run.raw_objects import RawObject

MAX_IDS = 10_000  # of all requests: each job reads them all, and looks each row's id up
PENDING, FORGOTTEN = "PENDING", "FORGOTTEN"  # of an id: its record is to be deleted, or was
MAX_NAME_BYTES = 900  # of an id or a key: DynamoDB takes 1,024 with what else a sort key has, such as an ETag
SHOWN = 5  # names in a message

Name = Annotated[str, StringConstraints(strict=True, min_length=1, strip_whitespace=True)]


class UnknownFileError(Exception):
    """A file to forget is neither under raw/ nor in the ledger."""


class TooManyIdsError(Exception):
    """More ids are to be forgotten than a plan takes."""


class LongNameError(Exception):
    """An id or a key to forget is too long for the table."""


class Forget(Document):
    """What an operator wants to be forgotten: files by their keys, and records by their ids."""

    model_config = ConfigDict(extra="forbid")

    files: tuple[Name, ...] = ()
    ids: tuple[Name, ...] = ()


class Requests(NamedTuple):
    """What the table holds.

    Attributes:
        files: the version to forget of each file whose records are still to be deleted.
        ids: the status of each id.
        versions: the key and the ETag of each content that was ever to be forgotten, overtaken ones too.
    """

    files: Mapping[str, str]
    ids: Mapping[str, str]
    versions: Set[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, items: Iterable[dict[str, Any]]) -> Self:
        """Return the requests in the table's items."""
        files: dict[str, str] = {}
        ids: dict[str, str] = {}
        versions: set[tuple[str, str]] = set()
        for item in items:
            name = item["sk"]["S"]
            if name.startswith(table.FORGET_FILE):
                files[name.removeprefix(table.FORGET_FILE)] = item["etag"]["S"]
            elif name.startswith(table.FORGET_VERSION):
                etag, _, key = name.removeprefix(table.FORGET_VERSION).partition("#")
                versions.add((key, etag))
            else:
                ids[name.removeprefix(table.FORGET_ID)] = item["status"]["S"]
        return cls(files, ids, versions)

    @property
    def pending_ids(self) -> list[str]:
        """The ids whose records are still to be deleted."""
        return sorted(name for name, status in self.ids.items() if status == PENDING)

    def joined(self, other: Requests) -> Requests:
        """Return these requests and others."""
        return Requests(
            {**self.files, **other.files}, {**self.ids, **other.ids}, self.versions | other.versions
        )

    def names(self, item: RawObject) -> bool:
        """Return whether this version of the file is forgotten, or is to be."""
        return self.files.get(item.key) == item.etag or (item.key, item.etag) in self.versions

    def of_operator(self, forget: Forget) -> Requests:
        """Return those of these requests that an operator's choice names."""
        return Requests({key: self.files[key] for key in forget.files}, dict.fromkeys(forget.ids, PENDING))


def resolve(forget: Forget, objects: Iterable[RawObject], ledger: Ledger) -> Requests:
    """Return an operator's request, with the version of each file that it means.

    This is the one under raw/, whether or not it was ingested, else the one that was ingested last.

    Raises:
        LongNameError: names the id or key that is too long, and what to do instead.
        UnknownFileError: names the files that are unknown, and the nearest ones.
        TooManyIdsError: says how many ids a plan takes.
    """
    refuse_long(forget)
    versions = {item.key: item.etag for item in objects}
    known = {*versions, *ledger.keys}
    if unknown := [key for key in forget.files if key not in known]:
        raise UnknownFileError(unknown_files(unknown, known))
    ids = dict.fromkeys(forget.ids, PENDING)
    if (count := len({*ids, *ledger.requests.ids})) > MAX_IDS:
        raise TooManyIdsError(
            f"With these, {count:,} ids would be forgotten; a plan takes {MAX_IDS:,}. Upload the files again "
            "without the rows: a row that a file no longer has is deleted."
        )
    return Requests({key: versions.get(key) or ledger.etag(key) or "" for key in forget.files}, ids)


def refuse_long(forget: Forget) -> None:
    """Refuse an id or a key that the table cannot hold."""
    instead = (
        (
            "id",
            forget.ids,
            "Upload its file again without the row: a row that a file no longer has is deleted",
        ),
        ("key", forget.files, "No run takes a file with such a key: delete it from raw/"),
    )
    for what, names, advice in instead:
        for name in names:
            if (size := len(name.encode())) > MAX_NAME_BYTES:
                raise LongNameError(
                    f'The {what} "{name[:40]}…" has {size:,} bytes; a request to forget takes '
                    f"{MAX_NAME_BYTES}. {advice}."
                )


def unknown_files(unknown: Sequence[str], known: Collection[str]) -> str:
    """Return the message for unknown files, with the nearest known one of each."""
    names = []
    for key in unknown[:SHOWN]:
        near = get_close_matches(key, known, n=1)
        names.append(f'"{key}"' + (f' (did you mean "{near[0]}"?)' if near else ""))
    more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    return (
        f"Neither raw/ nor the ledger has {', '.join(names)}{more}. Give the key of each file as in "
        f'{{"forget": {{"files": ["raw/a.csv"]}}}}. {len(known):,} files are known.'
    )


def save(dynamodb: DynamoDBClient, table_name: str, requests: Requests) -> None:
    """Write an operator's request to the table."""
    files = [
        {
            **table.key(table.FORGET, f"{table.FORGET_FILE}{key}"),
            "etag": {"S": etag},
            "status": {"S": PENDING},
        }
        for key, etag in requests.files.items()
    ]
    versions = [
        {**table.key(table.FORGET, f"{table.FORGET_VERSION}{etag}#{key}"), "status": {"S": FORGOTTEN}}
        for key, etag in requests.files.items()
        if etag
    ]
    ids = [
        {**table.key(table.FORGET, f"{table.FORGET_ID}{name}"), "status": {"S": status}}
        for name, status in requests.ids.items()
    ]
    batches.write(dynamodb, table_name, [*files, *versions, *ids])


def find_forgotten(
    ledger: Ledger, objects: Iterable[RawObject], gone: Iterable[str], at: str
) -> Forgetting | None:
    """Return what a run deletes, at a time that is later than any record; None if it deletes nothing."""
    files, ids = files_to_forget(ledger, objects, gone), ledger.requests.pending_ids
    return Forgetting(at=at, files=tuple(files), ids=tuple(ids)) if files or ids else None


def files_to_forget(ledger: Ledger, objects: Iterable[RawObject], gone: Iterable[str]) -> list[ForgottenFile]:
    """Return the files whose records a run deletes: the requested ones, and the keys that are gone.

    A file that was uploaded again with another content since the request is not among them: that content
    replaces what the request means, even if its key is gone by now.
    """
    versions = {item.key: item.etag for item in objects}
    files = {
        key: ForgottenFile(key=key, etag=etag)
        for key, etag in ledger.requests.files.items()
        if (versions.get(key) or ledger.ingested(key) or etag) == etag
    }
    # A requested file whose key is gone keeps its etag: its content stays forgotten if it is uploaded again.
    deleted = [ForgottenFile(key=key) for key in gone if key not in files]
    return sorted([*files.values(), *deleted], key=lambda file: file.key)
