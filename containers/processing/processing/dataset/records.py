"""Load the feature store's records, as the job's query selected them from the offline store.

Memory does not grow with the records: the columns that decide a row's split are in a database on disk, and
the content to write is in a file.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from processing.database import Database, open_database, read_rows
from processing.errors import DatasetError

MEMORY = "1GB"  # Athena writes row groups of 128 MB, which are read whole
CACHE_KIB = 4096  # page cache of the keys; sort runs on disk have this size too
COLUMNS = ("record_id", "event_time", "text", "label", "split", "source")
SPLITS = ("test", "validation", "train")  # a text in several splits stays in the first of them
NO_RECORDS = "there are no records as of the run's asOf; ingest some, or choose a later time"

# The last column is the content to write: one line of JSON per value, in UTF-8.
SELECTED = """
record_id, event_time, label, coalesce(source, ''), unhex(md5(text)),
coalesce(nullif(split, ''), nullif(regexp_extract(record_id, '^(test|validation|train)/', 1), '')),
encode(concat_ws(chr(10), to_json(record_id), to_json(text), to_json(label), to_json(coalesce(source, ''))))
"""
TABLE = """
CREATE TABLE records (
  record_id TEXT, event_time TEXT, label TEXT, source TEXT, digest BLOB, declared TEXT,
  start INTEGER, size INTEGER
)
"""
INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

# Each query counts the records that a faulty query selected, and gives an example.
REPEATED = """
SELECT count(*), min(record_id), min(source)
FROM (SELECT record_id, min(source) AS source FROM records GROUP BY record_id HAVING count(*) > 1)
"""
LATE = "SELECT count(*), min(record_id), min(source) FROM records WHERE event_time > :as_of"

# Records that `ingest` does not write, but another program may: they are left out, so that they cannot fail
# every later run.
INVALID = {
    "without an id, a time, a text or a label": (
        "record_id IS NULL OR event_time IS NULL OR digest IS NULL OR label IS NULL"
    ),
    f"of an unknown split, which is none of {', '.join(SPLITS)}": (
        f"declared NOT IN ({', '.join(repr(name) for name in SPLITS)})"
    ),
}


class Content(NamedTuple):
    """The values of a record to write, as JSON in UTF-8."""

    key: bytes
    text: bytes
    label: bytes
    source: bytes


class Records:
    """The table `records`, and a file with the content to write."""

    def __init__(self, database: sqlite3.Connection, contents: IO[bytes]) -> None:
        self.database = database
        self._contents, self._size = contents, 0

    def fill(self, files: Sequence[Path], spill: Path) -> None:
        """Load the rows of Parquet files.

        Raises:
            DatasetError: A column is missing.
        """
        self.database.execute("BEGIN")
        with open_database(MEMORY, spill) as database:
            for file in files:
                check_columns(database, str(file))
                for rows in read_rows(database, str(file), COLUMNS, SELECTED):
                    self.database.executemany(INSERT, map(self._keep, rows))
        self.database.execute("COMMIT")
        self._contents.flush()

    def content(self, start: int, size: int) -> Content:
        """Return the content at an offset of the file."""
        return Content(*os.pread(self._contents.fileno(), size, start).split(b"\n"))

    def _keep(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        *keys, content = row
        start, self._size = self._size, self._size + len(content)
        self._contents.write(content)
        return (*keys, start, len(content))


@contextmanager
def open_records(files: Sequence[Path], folder: Path) -> Iterator[Records]:
    """Load Parquet files, using temporary files in a folder.

    Raises:
        DatasetError: There is no file, or a column is missing.
    """
    if not files:
        raise DatasetError(NO_RECORDS)
    with (
        closing(sqlite3.connect(folder / "records.db", isolation_level=None)) as database,
        (folder / "contents").open("w+b") as contents,
    ):
        # Nothing must survive this process.
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            database.execute(f"PRAGMA {setting}")
        # Otherwise SQLite sorts in /var/tmp, whose size the job cannot choose.
        sorting = str(folder).replace("'", "''")
        database.execute(f"PRAGMA temp_store_directory = '{sorting}'")
        database.execute(TABLE)
        records = Records(database, contents)
        records.fill(files, folder)
        yield records


def check_columns(database: Database, file: str) -> None:
    """Refuse a Parquet file that lacks a column."""
    names = {name for name, *_ in database.execute("DESCRIBE FROM read_parquet($1)", [file]).fetchall()}
    if missing := [name for name in COLUMNS if name not in names]:
        raise DatasetError(f"the records have no column {', '.join(missing)}; select {', '.join(COLUMNS)}")


def verify(database: sqlite3.Connection, as_of: str) -> dict[str, str]:
    """Refuse records that are not the latest version of each as of a time, and take invalid ones out.

    Returns:
        The records that are taken out, by what is wrong with them: their number and an example.

    Raises:
        DatasetError: There are no records, or the query selected others than it must.
    """
    if not database.execute("SELECT 1 FROM records LIMIT 1").fetchone():
        raise DatasetError(NO_RECORDS)
    reject_if_found(database, REPEATED, {}, "in more than one version; the query must select the latest")
    reject_if_found(
        database, LATE, {"as_of": as_of}, f"after {as_of}; the query must select those until then"
    )
    found = {fault: take_out(database, condition) for fault, condition in INVALID.items()}
    invalid = {fault: records for fault, records in found.items() if records}
    if not database.execute("SELECT 1 FROM records LIMIT 1").fetchone():
        raise DatasetError(
            "; ".join(f"all records are {fault}: {records}" for fault, records in invalid.items())
        )
    return invalid


def take_out(database: sqlite3.Connection, condition: str) -> str:
    """Delete the records that meet a condition; return their number and an example, or nothing."""
    found = database.execute(
        f"SELECT count(*), min(record_id), min(source) FROM records WHERE {condition}"  # noqa: S608
    )
    described = describe(found)
    database.execute(f"DELETE FROM records WHERE {condition}")  # noqa: S608
    return described


def name_record(key: str, source: str | None) -> str:
    """Name a record and its file."""
    return f"record '{key}' of {source or 'no file'}"


def describe(found: sqlite3.Cursor) -> str:
    """Return the number of records that a query found, and an example; empty if there are none."""
    count, key, source = found.fetchone()
    return f"{count:,}, such as {name_record(key, source)}" if count else ""


def reject_if_found(database: sqlite3.Connection, query: str, values: dict[str, str], fault: str) -> None:
    """Raise an error if a query finds a record."""
    if found := describe(database.execute(query, values)):
        raise DatasetError(f"records {fault}: {found}")
