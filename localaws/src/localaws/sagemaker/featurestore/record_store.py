"""Records on disk: the online store, and what the offline store has still to write.

SQLite, since fifty thousand texts have no place in a process that everything else shares. Nothing of it
outlives the service, so nothing waits for the disk.
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
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given again, not even while a flush forgets
    grp INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    invoked INTEGER NOT NULL,     -- microseconds since the epoch
    deleted INTEGER NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX log_of_group ON log (grp);
"""
# The newest event time wins, whatever the order of arrival; of equal ones the first, as AWS has it.
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
# By the moment too: of two requests at once, the one that came later may be logged first.
_FORGET = """
DELETE FROM log WHERE grp = ? AND sequence <= ? AND invoked <= ? AND event_time >= ? AND event_time < ?
"""


@dataclass(frozen=True, slots=True)
class Write:
    """A record on its way into a group's stores.

    Attributes:
        group: the group's number.
        record: what is written.
        online: whether the online store takes it.
        offline: whether the offline store takes it.
        deleted: whether it says that the record is deleted.
    """

    group: int
    record: Record
    online: bool
    offline: bool
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A row that the offline store has still to write; moments in microseconds since the epoch."""

    sequence: int
    event_time: int
    invoked: int
    deleted: bool
    content: str


class RecordStore:
    """The records of all feature groups; safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        self._connection = _connected(path)
        self._connection.executescript(_SCHEMA)
        self._reader = _connected(path)
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def close(self) -> None:
        """Let go of the files."""
        with self._lock, self._reading:
            self._connection.close()
            self._reader.close()

    def write(self, writes: Sequence[Write], invoked: int) -> None:
        """Keep records, all or none: the newest online, every one for the offline store.

        Args:
            writes: in order.
            invoked: when the request came, in microseconds since the epoch.
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
        """Remove a record from the online store, its event time too, and log that.

        Returns:
            Whether it was done: it is not, when the record there is as new or newer.
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
        """The newest record's features, a JSON object; None when there is none or it is deleted."""
        with self._lock:
            row = self._connection.execute(_GET, (group, identifier)).fetchone()
        return row[0] if row else None

    def identifiers(
        self, group: int, after: int, limit: int, deleted: bool = False
    ) -> tuple[list[str], int | None]:
        """Record identifiers of the online store, and the place to go on from if there are more.

        Args:
            group: the group's number.
            after: the place to go on from, 0 at first.
            limit: how many.
            deleted: whether to list soft-deleted records too.
        """
        with self._lock:
            rows = self._connection.execute(_LIST, (group, after, deleted, limit + 1)).fetchall()
        page = rows[:limit]
        return [identifier for _, identifier in page], page[-1][0] if len(rows) > limit else None

    def pending_groups(self) -> list[int]:
        """The groups that have something for the offline store."""
        with self._reading:
            return [group for (group,) in self._reader.execute("SELECT DISTINCT grp FROM log")]

    def due(self, group: int, invoked: int, limit: int) -> Iterator[Pending]:
        """What a group's offline store has to write, oldest first.

        Args:
            group: the group's number.
            invoked: no request that came later, in microseconds since the epoch.
            limit: how many rows.
        """
        with self._reading:
            for sequence, event_time, moment, deleted, content in self._reader.execute(
                _DUE, (group, invoked, limit)
            ):
                yield Pending(sequence, event_time, moment, bool(deleted), content)

    def forget(self, group: int, last: int, invoked: int, start: int, end: int) -> None:
        """Drop what the offline store has written.

        Args:
            group: the group's number.
            last: the last sequence.
            invoked: as it was given to `due`.
            start: the first event time, in microseconds since the epoch.
            end: the event time that is too late.
        """
        with self._transaction() as connection:
            connection.execute(_FORGET, (group, last, invoked, start, end))

    def abandon(self, group: int) -> None:
        """Drop all that a group's offline store has still to write."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM log WHERE grp = ?", (group,))

    def drop(self, group: int) -> None:
        """Forget a group's online store; what is due to the offline store stays due."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM online WHERE grp = ?", (group,))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # The connection's own context ends what SQLite, of a full disk, has not ended by itself.
        with self._lock, self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection


def _content(write: Write) -> str | None:
    return None if write.deleted else write.record.content


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
