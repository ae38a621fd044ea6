"""The feature store's records, as the job's query took them from the offline store."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from database import Database, open_database
from errors import DatasetError

MEMORY = "1GB"  # Athena writes row groups of 128 MB, which come into memory whole
COLUMNS = ("record_id", "event_time", "text", "label", "split", "source")
SPLITS = ["test", "validation", "train"]  # a text of several stays in the first
NOTHING = "there is no record as of AS_OF; ingest some, or take a later time"

# Texts stay in the files: what stands in the tables is small.
RECORDS = """
CREATE TABLE records AS
SELECT record_id, event_time, label, coalesce(source, '') AS source, md5_number(text) AS digest,
  coalesce(nullif(split, ''), nullif(regexp_extract(record_id, '^(test|validation|train)/', 1), '')) AS given
FROM files
"""

# Each finds how many records are not what they have to be, and one of them.
INCOMPLETE = """
SELECT count(*), min(record_id) FROM records
WHERE record_id IS NULL OR event_time IS NULL OR digest IS NULL OR label IS NULL
"""
REPEATED = """
SELECT count(*), min(record_id) FROM (SELECT record_id FROM records GROUP BY ALL HAVING count(*) > 1)
"""
LATE = "SELECT count(*), min(record_id) FROM records WHERE event_time > $as_of"
UNKNOWN = "SELECT count(*), min(record_id) FROM records WHERE NOT list_contains($splits, given)"


@contextmanager
def open_records(files: Sequence[Path], spill: Path) -> Iterator[Database]:
    """Open these Parquet files as the view `files`, and what places each row as the table `records`.

    Raises:
        DatasetError: There is no file, or a column is missing.
    """
    if not files:
        raise DatasetError(NOTHING)
    with open_database(MEMORY, spill, in_order=False) as database:
        rows = database.read_parquet([str(file) for file in files])
        if missing := [name for name in COLUMNS if name not in rows.columns]:
            raise DatasetError(
                f"the records have no column {', '.join(missing)}; select {', '.join(COLUMNS)}"
            )
        rows.project(", ".join(COLUMNS)).create_view("files")
        database.execute(RECORDS)
        yield database


def verify(database: Database, as_of: str) -> None:
    """Refuse records that are not the latest version of each as of a time.

    Raises:
        DatasetError: There is none, or one that is not; names it and tells how many.
    """
    if not database.execute("SELECT 1 FROM records LIMIT 1").fetchone():
        raise DatasetError(NOTHING)
    refuse(database, INCOMPLETE, {}, "without an id, a time, a text or a label, which `ingest` never writes")
    refuse(database, REPEATED, {}, "in more than one version, where the query has to take the latest")
    refuse(database, LATE, {"as_of": as_of}, f"after {as_of}, where the query has to take those until then")
    refuse(database, UNKNOWN, {"splits": SPLITS}, f"of an unknown split; use {', '.join(SPLITS)}, or none")


def refuse(database: Database, query: str, values: dict[str, Any], fault: str) -> None:
    """Refuse when a query finds a record."""
    [[found, example]] = database.execute(query, values).fetchall()
    if found:
        raise DatasetError(f"records {fault}: {found:,}, for example '{example}'")
