"""Places every record in a split: train, validation or test.

A record stands where its `split` says, else where its id's first part does (`test/…`), else where a hash of
its id does. The hash depends on nothing else, so no other record moves one between train and test.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from errors import DatasetError

TEST_SHARE = 0.1  # of the records whose split nothing tells
VALIDATION_SHARE = 0.1  # of the records of train, unless some are given for validation
LABELS = 100  # more are a sign of a wrong column
COLUMNS = ("record_id", "event_time", "text", "label", "split", "source")
SPLITS = ["test", "validation", "train"]  # a text of several stays in the first
SETTINGS: dict[str, Any] = {
    "memory_limit": "512MB",  # beyond it DuckDB spills to disk
    "threads": 1,  # each holds a page of Parquet, which may be as large as a row group
    "preserve_insertion_order": False,
    "enable_external_file_cache": False,
}

NOTHING = "there is no record as of AS_OF; ingest some, or take a later time"

Database = duckdb.DuckDBPyConnection
Splits = dict[str, dict[str, int]]  # rows by split and label

RECORDS = """
CREATE TABLE records AS
SELECT record_id, event_time, label, coalesce(source, '') AS source, md5_number(text) AS digest,
  coalesce(nullif(split, ''), nullif(regexp_extract(record_id, '^(test|validation|train)/', 1), '')) AS given
FROM files
"""

# A share is told by MD5's first digits, for DuckDB's own hash() may change with its version.
PLACED = """
CREATE TABLE placed AS
WITH tested AS (
  SELECT *, coalesce(given, if(left(md5('test ' || record_id), 8) < $test, 'test', 'train')) AS part
  FROM records
), validated AS (
  SELECT * EXCLUDE (part),
    if(part = 'train' AND left(md5('validation ' || record_id), 8) < $validation, 'validation', part) AS split
  FROM tested
)
SELECT record_id, label, source, split,
  $splits[min(list_position($splits, split)) OVER (PARTITION BY digest)] AS first_split
FROM validated
"""

KEPT = """
CREATE TABLE kept AS
SELECT row_number() OVER (ORDER BY record_id) - 1 AS position, record_id, label, source, split
FROM placed WHERE split = first_split
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
    with duckdb.connect(config=SETTINGS | {"temp_directory": str(spill)}) as database:
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


def place(database: Database) -> None:
    """Make the tables `placed`, each record with its split, and `kept`, the dataset's rows in their order."""
    given = database.execute("SELECT 1 FROM records WHERE given = 'validation' LIMIT 1").fetchone()
    thresholds = {"test": threshold(TEST_SHARE), "validation": threshold(0 if given else VALIDATION_SHARE)}
    database.execute(PLACED, {"splits": SPLITS, **thresholds})
    database.execute(KEPT)


def threshold(share: float) -> str:
    """The hexadecimal digits below which this share of all hashes begin."""
    return f"{round(share * 2**32):08x}"


def count_rows(database: Database) -> Splits:
    """Count the dataset's rows by split and label."""
    splits: Splits = {name: {} for name in reversed(SPLITS)}
    counts = "SELECT split, label, count(*) FROM kept GROUP BY ALL ORDER BY label"
    for split, label, rows in database.execute(counts).fetchall():
        splits[split][label] = rows
    return splits


def check(splits: Splits) -> None:
    """Refuse a dataset that cannot train and test a model.

    Raises:
        DatasetError: A split has no row, or the labels are too few, too many or not all in train.
    """
    train, test = splits["train"], splits["test"]
    labels = sorted({label for counts in splits.values() for label in counts})
    if not train:
        raise DatasetError("no row is left to train with; add rows of split train")
    if not test:
        raise DatasetError("no row is left to test with; add rows of split test")
    if len(labels) > LABELS:
        raise DatasetError(f"{len(labels):,} different labels, at most {LABELS}: the wrong column?")
    if len(labels) == 1:
        raise DatasetError(f"every row has the label '{labels[0]}'; add rows of another")
    for label in labels:
        if label not in train:
            raise DatasetError(
                f"no row of split train has the label '{label}'; add some, or delete its others"
            )
