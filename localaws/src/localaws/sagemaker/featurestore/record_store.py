"""Store the online records and the pending rows of the offline store in SQLite.

The records are on disk because tens of thousands of texts would take too much memory of a process that
serves everything else. The database is deleted with the service, so writes do not wait for the disk.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localaws.sagemaker.featurestore.schema import Record

BUSY_SECONDS = 60.0

_SCHEMA = """
PRAGMA journal_mode = WAL;  -- the writer of the offline store reads while requests write
PRAGMA synchronous = OFF;
CREATE TABLE online (
    grp INTEGER NOT NULL,
    identifier TEXT NOT NULL,
    event_time INTEGER NOT NULL,  -- microseconds since the epoch
    content TEXT,                 -- a JSON object; NULL after a soft delete
    UNIQUE (grp, identifier)
);
CREATE TABLE log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused, even after a flush deletes rows
    grp INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    invoked INTEGER NOT NULL,     -- microseconds since the epoch
    deleted INTEGER NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX log_of_group ON log (grp);
"""
# As on AWS: the latest event time wins, independent of the order of arrival; at a tie, the first write.
_PUT = """
INSERT INTO online (grp, identifier, event_time, content) VALUES (?, ?, ?, ?)
ON CONFLICT (grp, identifier) DO UPDATE SET event_time = excluded.event_time, content = excluded.content
WHERE excluded.event_time > online.event_time
"""
_APPEND = "INSERT INTO log (grp, event_time, invoked, deleted, content) VALUES (?, ?, ?, ?, ?)"
_GET = "SELECT content FROM online WHERE grp = ? AND identifier = ?"
_NEWER = "SELECT 1 FROM online WHERE grp = ? AND identifier = ? AND event_time >= ?"
_LIST = """
SELECT rowid, identifier FROM online
WHERE grp = ? AND rowid > ? AND (content IS NOT NULL OR ?) ORDER BY rowid LIMIT ?
"""
_DUE = """
SELECT sequence, event_time, invoked, deleted, content FROM log
WHERE grp = ? AND invoked <= ? ORDER BY sequence LIMIT ?
"""
# Also filtered by the request time: of two concurrent requests, the later one may be logged first.
_FORGET = """
DELETE FROM log WHERE grp = ? AND sequence <= ? AND invoked <= ? AND event_time >= ? AND event_time < ?
"""


@dataclass(frozen=True, slots=True)
class Write:
    """A record to be written to a group's stores.

    Attributes:
        group: the group's number.
        record: the record, or a deletion marker.
        online: whether to write to the online store.
        offline: whether to write to the offline store.
        deleted: whether the record is a deletion marker.
    """

    group: int
    record: Record
    online: bool
    offline: bool
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A row that is not yet in the offline store; times in microseconds since the epoch."""

    sequence: int
    event_time: int
    invoked: int
    deleted: bool
    content: str


class RecordStore:
    """The records of all feature groups; thread-safe."""

    def __init__(self, path: Path) -> None:
        self._connection = _connected(path)
        self._connection.executescript(_SCHEMA)
        self._reader = _connected(path)
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def close(self) -> None:
        """Close the database connections."""
        with self._lock, self._reading:
            self._connection.close()
            self._reader.close()

    def write(self, writes: Sequence[Write], invoked: int) -> None:
        """Write records in one transaction: the newest to the online store, all to the log.

        Args:
            writes: the records in order.
            invoked: the time of the request, in microseconds since the epoch.
        """
        online = [
            (write.group, write.record.identifier, write.record.event_time, _content(write))
            for write in writes
            if write.online
        ]
        offline = [
            (write.group, write.record.event_time, invoked, write.deleted, write.record.content)
            for write in writes
            if write.offline
        ]
        with self._transaction() as connection:
            connection.executemany(_PUT, online)
            connection.executemany(_APPEND, offline)

    def remove(self, write: Write, invoked: int) -> bool:
        """Remove a record and its event time from the online store, and log the deletion.

        Returns:
            False if the online record has the same or a later event time and was kept.
        """
        group, record = write.group, write.record
        with self._transaction() as connection:
            if write.online:
                if connection.execute(_NEWER, (group, record.identifier, record.event_time)).fetchone():
                    return False
                connection.execute(
                    "DELETE FROM online WHERE grp = ? AND identifier = ?", (group, record.identifier)
                )
            if write.offline:
                connection.execute(_APPEND, (group, record.event_time, invoked, True, record.content))
        return True

    def get(self, group: int, identifier: str) -> str | None:
        """Return the newest record's features as a JSON object; None if it does not exist or is deleted."""
        with self._lock:
            row = self._connection.execute(_GET, (group, identifier)).fetchone()
        return row[0] if row else None

    def identifiers(
        self, group: int, after: int, limit: int, deleted: bool = False
    ) -> tuple[list[str], int | None]:
        """Return record identifiers of the online store, and the next page's position or None.

        Args:
            group: the group's number.
            after: the position returned with the previous page; 0 for the first page.
            limit: the maximum number of identifiers.
            deleted: whether to include soft-deleted records.
        """
        with self._lock:
            rows = self._connection.execute(_LIST, (group, after, deleted, limit + 1)).fetchall()
        page = rows[:limit]
        return [identifier for _, identifier in page], page[-1][0] if len(rows) > limit else None

    def pending_groups(self) -> list[int]:
        """Return the numbers of the groups that have rows pending for the offline store."""
        with self._reading:
            return [group for (group,) in self._reader.execute("SELECT DISTINCT grp FROM log")]

    def due(self, group: int, invoked: int, limit: int) -> Iterator[Pending]:
        """Yield a group's pending rows, oldest first.

        Args:
            group: the group's number.
            invoked: the latest request time to include, in microseconds since the epoch.
            limit: the maximum number of rows.
        """
        with self._reading:
            for sequence, event_time, moment, deleted, content in self._reader.execute(
                _DUE, (group, invoked, limit)
            ):
                yield Pending(sequence, event_time, moment, bool(deleted), content)

    def forget(self, group: int, last: int, invoked: int, start: int, end: int) -> None:
        """Delete the pending rows that the offline store has written.

        Args:
            group: the group's number.
            last: the last sequence number, inclusive.
            invoked: the value that was passed to `due`.
            start: the first event time, inclusive, in microseconds since the epoch.
            end: the last event time, exclusive, in microseconds since the epoch.
        """
        with self._transaction() as connection:
            connection.execute(_FORGET, (group, last, invoked, start, end))

    def abandon(self, group: int) -> None:
        """Delete all pending rows of a group."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM log WHERE grp = ?", (group,))

    def drop(self, group: int) -> None:
        """Delete a group's online records; its pending rows are kept."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM online WHERE grp = ?", (group,))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # The connection's context manager rolls back a transaction that SQLite leaves open on a full disk.
        with self._lock, self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection


def _content(write: Write) -> str | None:
    return None if write.deleted else write.record.content


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
