"""Keep a file's good rows on disk until it is clear whether the file is accepted."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple, Self

from processing.ingestion.rows import Row


class Place(NamedTuple):
    """Where a row is in its file: its number, its first line if the format has lines, and how many it has."""

    row: int
    line: int | None
    lines: int


class Spool:
    """Rows in a temporary database, so that memory does not grow with them."""

    def __init__(self, *, unique: bool) -> None:
        self.folder = TemporaryDirectory()
        self.database = sqlite3.connect(Path(self.folder.name) / "rows.db", isolation_level=None)
        # Nothing must survive this process.
        self.database.execute("PRAGMA journal_mode = OFF")
        self.database.execute("PRAGMA synchronous = OFF")
        self.database.execute(
            "CREATE TABLE rows (id TEXT, text TEXT, label TEXT, split TEXT, row, line, lines)"
        )
        self.database.execute(f"CREATE {'UNIQUE' if unique else ''} INDEX ids ON rows (id)")
        self.database.execute("BEGIN")

    def add(self, row: Row, place: Place) -> bool:
        """Add a row; return False if its id exists already."""
        added = self.database.execute(
            "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, *place)
        )
        return added.rowcount == 1

    def find(self, key: str) -> tuple[Row, Place]:
        """Return the row of an id, and its place."""
        query = "SELECT id, text, label, split, row, line, lines FROM rows WHERE id = ?"
        found = self.database.execute(query, (key,)).fetchone()
        return Row._make(found[:4]), Place._make(found[4:])

    def count_ids(self, refused: Counter[str]) -> int:
        """Return the number of ids that are records, without those of which each row is refused.

        Args:
            refused: The number of refused rows of each id.
        """
        [count] = self.database.execute("SELECT count(DISTINCT id) FROM rows").fetchone()
        for name, rows in refused.items():
            [found] = self.database.execute("SELECT count(*) FROM rows WHERE id = ?", (name,)).fetchone()
            count -= rows >= found
        return int(count)

    def __iter__(self) -> Iterator[Row]:
        return map(Row._make, self.database.execute("SELECT id, text, label, split FROM rows ORDER BY rowid"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()
        self.folder.cleanup()
