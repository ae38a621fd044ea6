"""The feature store's records, as the job's query took them from the offline store.

Memory does not grow with them: what places a row stands in a database on disk, what is written of it in a
file beside.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from processing.database import Database, open_database, read_rows
from processing.errors import DatasetError

MEMORY = "1GB"  # Athena writes row groups of 128 MB, which come into memory whole
CACHE_KIB = 4096  # of the keys; what is sorted goes to disk in runs of as much
COLUMNS = ("record_id", "event_time", "text", "label", "split", "source")
SPLITS = ("test", "validation", "train")  # a text of several stays in the first
NO_RECORDS = "there is no record as of the run's asOf; ingest some, or take a later time"

# The last is what is written of a row: a line of JSON each, in UTF-8.
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

# Each finds how many records are not what they have to be, and one of them.
INCOMPLETE = """
SELECT count(*), min(record_id) FROM records
WHERE record_id IS NULL OR event_time IS NULL OR digest IS NULL OR label IS NULL
"""
REPEATED = """
SELECT count(*), min(record_id) FROM (SELECT record_id FROM records GROUP BY record_id HAVING count(*) > 1)
"""
LATE = "SELECT count(*), min(record_id) FROM records WHERE event_time > :as_of"
UNKNOWN = "SELECT count(*), min(record_id) FROM records WHERE declared NOT IN (:test, :validation, :train)"


class Content(NamedTuple):
    """What is written of a record, as JSON in UTF-8."""

    key: bytes
    text: bytes
    label: bytes
    source: bytes


class Records:
    """The table `records`, and a file of their contents."""

    def __init__(self, database: sqlite3.Connection, contents: IO[bytes]) -> None:
        self.database = database
        self._contents, self._size = contents, 0

    def fill(self, files: Sequence[Path], spill: Path) -> None:
        """Take in the rows of Parquet files.

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
        """What stands at a place of the file."""
        return Content(*os.pread(self._contents.fileno(), size, start).split(b"\n"))

    def _keep(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        *keys, content = row
        start, self._size = self._size, self._size + len(content)
        self._contents.write(content)
        return (*keys, start, len(content))


@contextmanager
def open_records(files: Sequence[Path], folder: Path) -> Iterator[Records]:
    """Take in these Parquet files, by means of files in a folder.

    Raises:
        DatasetError: There is no file, or a column is missing.
    """
    if not files:
        raise DatasetError(NO_RECORDS)
    with (
        closing(sqlite3.connect(folder / "records.db", isolation_level=None)) as database,
        (folder / "contents").open("w+b") as contents,
    ):
        # Nothing has to survive this process.
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            database.execute(f"PRAGMA {setting}")
        # Else it sorts in /var/tmp, whose size is not the job's to choose.
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


def verify(database: sqlite3.Connection, as_of: str) -> None:
    """Refuse records that are not the latest version of each as of a time.

    Raises:
        DatasetError: There is none, or one that is not; names it and tells how many.
    """
    if not database.execute("SELECT 1 FROM records LIMIT 1").fetchone():
        raise DatasetError(NO_RECORDS)
    reject_if_found(
        database, INCOMPLETE, {}, "without an id, a time, a text or a label, which `ingest` never writes"
    )
    reject_if_found(
        database, REPEATED, {}, "in more than one version, where the query has to take the latest"
    )
    reject_if_found(
        database, LATE, {"as_of": as_of}, f"after {as_of}, where the query has to take those until then"
    )
    names = {name: name for name in SPLITS}
    reject_if_found(database, UNKNOWN, names, f"of an unknown split; use {', '.join(SPLITS)}, or none")


def reject_if_found(database: sqlite3.Connection, query: str, values: dict[str, str], fault: str) -> None:
    """Refuse when a query finds a record."""
    found, example = database.execute(query, values).fetchone()
    if found:
        raise DatasetError(f"records {fault}: {found:,}, for example '{example}'")
