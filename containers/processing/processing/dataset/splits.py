"""Assign every record to a split: train, validation or test.

The split is the record's `split`, else the first part of its id (`test/…`), else chosen by a hash of its id.
The hash depends on nothing else, so adding records never moves another one from train to test.

If no record is in test, as with files that are all declared for train, the same hash chooses some of train.
Otherwise such files would fail every run. When records for testing come, those chosen return to train.
"""

import hashlib
import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from processing.dataset.records import SPLITS, name_record
from processing.errors import DatasetError

TEST_SHARE = 0.1  # of the records without a declared split
VALIDATION_SHARE = 0.1  # of the records of train, unless any is declared for validation

Splits = dict[str, dict[str, int]]  # rows by split and label

# `place` is the split's index in SPLITS, `first` the lowest index among records of the same text.
PLACED = """
CREATE TABLE placed AS
WITH tested AS (
  SELECT *, CASE
    WHEN coalesce(declared, 'train') = 'train' AND record_id = :least THEN 'test'
    WHEN (declared IS NULL OR (declared = 'train' AND :chosen)) AND md5('test ' || record_id) < :test
    THEN 'test'
    ELSE coalesce(declared, 'train') END AS part
  FROM records
), validated AS (
  SELECT *, CASE
    WHEN part = 'test' THEN 0
    WHEN part = 'validation' OR md5('validation ' || record_id) < :validation THEN 1
    ELSE 2 END AS place
  FROM tested
)
SELECT record_id, label, source, start, size, place, min(place) OVER (PARTITION BY digest) AS first
FROM validated
"""
KEPT = """
CREATE VIEW IF NOT EXISTS kept AS
SELECT * FROM placed WHERE place = first AND label NOT IN (SELECT label FROM omitted)
"""
# A model cannot learn a label from fewer rows of train.
RARE = """
SELECT label, count(*), min(record_id), min(source) FROM kept GROUP BY label
HAVING sum(place = :train) < :least ORDER BY label
"""
# The labels with the fewest rows to train with, beyond the limit.
EXCESS = """
SELECT label, count(*), min(record_id), min(source) FROM kept GROUP BY label
ORDER BY sum(place = :train) DESC, label LIMIT -1 OFFSET :limit
"""
# Of the records that may be chosen, the one with the lowest hash. Its label keeps enough rows to train with.
LEAST = """
SELECT record_id FROM kept WHERE place = :train
AND label IN (SELECT label FROM kept WHERE place = :train GROUP BY label HAVING count(*) > :rows)
ORDER BY md5('test ' || record_id) LIMIT 1
"""
EXAMPLE = "SELECT record_id, source FROM placed ORDER BY record_id LIMIT 1"


class Omitted(NamedTuple):
    """A label that is left out of the dataset, with an example of its rows."""

    label: str
    rows: int
    example: str


def assign_splits(database: sqlite3.Connection) -> None:
    """Create the table `placed`, each record with its split, and the view `kept`, the dataset's rows."""
    database.create_function("md5", 1, md5, deterministic=True)
    database.execute("CREATE TABLE omitted (label TEXT PRIMARY KEY)")
    place(database)


def omit_labels(database: sqlite3.Connection, least: int, limit: int) -> tuple[list[Omitted], list[Omitted]]:
    """Take labels out of the view `kept`; return those of too few rows to train with, and those over a limit.

    If then no row is left to test with, rows of train are chosen for it.
    """
    omitted = omit_again(database, least, limit)
    if not tested(database):
        place(database, chosen=True)
        omitted = omit_again(database, least, limit)
    if not tested(database):
        values = {"train": SPLITS.index("train"), "rows": least}
        if found := database.execute(LEAST, values).fetchone():
            place(database, chosen=True, least=found[0])
            omitted = omit_again(database, least, limit)
    return omitted


def tested(database: sqlite3.Connection) -> bool:
    """Return whether there is a row to test with."""
    return bool(database.execute("SELECT 1 FROM kept WHERE place = 0 LIMIT 1").fetchone())


def omit_again(database: sqlite3.Connection, least: int, limit: int) -> tuple[list[Omitted], list[Omitted]]:
    """Decide anew which labels are not in the view `kept`."""
    database.execute("DELETE FROM omitted")
    return omit_rare_labels(database, least), omit_excess_labels(database, limit)


def place(database: sqlite3.Connection, *, chosen: bool = False, least: str | None = None) -> None:
    """Create the table `placed`.

    Args:
        database: The records.
        chosen: Whether the hash chooses test rows among the records that are declared for train, too.
        least: A further record for testing.
    """
    declared = database.execute("SELECT 1 FROM records WHERE declared = 'validation' LIMIT 1").fetchone()
    database.execute("DROP TABLE IF EXISTS placed")
    values = {
        "test": threshold(TEST_SHARE),
        "validation": threshold(0 if declared else VALIDATION_SHARE),
        "chosen": chosen,
        "least": least,
    }
    database.execute(PLACED, values)
    database.execute(KEPT)


def md5(text: str) -> str:
    """Return the hexadecimal MD5 hash of a text."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def threshold(share: float) -> str:
    """Return the hexadecimal prefix below which this share of all hashes lies."""
    return f"{round(share * 2**32):08x}"


def count_rows(database: sqlite3.Connection) -> Splits:
    """Count the dataset's rows by split and label."""
    splits: Splits = {name: {} for name in reversed(SPLITS)}
    counts = "SELECT place, label, count(*) FROM kept GROUP BY place, label ORDER BY label"
    for number, label, rows in database.execute(counts):
        splits[SPLITS[number]][label] = rows
    return splits


def omit_rare_labels(database: sqlite3.Connection, least: int) -> list[Omitted]:
    """Take labels with fewer rows of train out of the view `kept`, and return them.

    If no row is left to train with, nothing is taken out: the dataset is refused for that.
    """
    train = SPLITS.index("train")
    if not database.execute("SELECT 1 FROM kept WHERE place = ? LIMIT 1", (train,)).fetchone():
        return []
    return omit(database, RARE, {"train": train, "least": least})


def omit_excess_labels(database: sqlite3.Connection, limit: int) -> list[Omitted]:
    """Take the labels with the fewest rows of train, beyond a limit, out of the view `kept`.

    `ingest` refuses files beyond the limit. But its instances do not know each other's labels, and the limit
    may have been lowered.
    """
    return omit(database, EXCESS, {"train": SPLITS.index("train"), "limit": limit})


def omit(database: sqlite3.Connection, query: str, values: dict[str, int]) -> list[Omitted]:
    """Take the labels that a query selects out of the view `kept`."""
    found = [
        Omitted(label, rows, name_record(key, source))
        for label, rows, key, source in database.execute(query, values)
    ]
    database.executemany("INSERT INTO omitted VALUES (?)", [(item.label,) for item in found])
    return found


def check(splits: Splits, omitted: Collection[Omitted], example: str) -> None:
    """Refuse a dataset that cannot train and test a model.

    Args:
        splits: The rows by split and label.
        omitted: The labels that are left out.
        example: Names one of the records.

    Raises:
        DatasetError: A split has no rows, or there is one label only.
    """
    train, test = splits["train"], splits["test"]
    labels = sorted({label for counts in splits.values() for label in counts})
    named = ", ".join(f"'{item.label}' ({item.rows:,} rows, such as {item.example})" for item in omitted)
    left_out = f"; left out for too few rows to train with: {named}" if omitted else ""
    if not train:
        raise DatasetError(
            f"no row is left to train with, for example not {example}: all rows are for validation or "
            f"testing, or their texts are; add rows of split train{left_out}"
        )
    if len(labels) == 1:
        raise DatasetError(
            f"every row has the label '{labels[0]}', such as {example}; add rows of another{left_out}"
        )
    if not test:
        raise DatasetError(
            f"no row is left to test with, since each label has one row only, such as {example}; add rows "
            f"of split test{left_out}"
        )


def example(database: sqlite3.Connection) -> str:
    """Name a record and its file."""
    return name_record(*database.execute(EXAMPLE).fetchone())
