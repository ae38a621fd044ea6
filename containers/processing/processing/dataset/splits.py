"""Assign every record to a split: train, validation or test.

The split is the record's `split`, else the first part of its id (`test/…`), else chosen by a hash of its id.
The hash depends on nothing else, so adding records never moves another one between train and test.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Collection

from processing.dataset.records import SPLITS
from processing.errors import DatasetError

TEST_SHARE = 0.1  # of the records without a declared split
VALIDATION_SHARE = 0.1  # of the records of train, unless any is declared for validation
NAMED_LABELS = 3

Splits = dict[str, dict[str, int]]  # rows by split and label

# `place` is the split's index in SPLITS, `first` the lowest index among records of the same text.
PLACED = """
CREATE TABLE placed AS
WITH tested AS (
  SELECT *, coalesce(declared, iif(md5('test ' || record_id) < :test, 'test', 'train')) AS part
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
CREATE VIEW kept AS
SELECT * FROM placed WHERE place = first AND label NOT IN (SELECT label FROM omitted)
"""
# A model cannot learn a label from fewer rows of train.
RARE = """
SELECT label, count(*) FROM kept GROUP BY label
HAVING sum(place = :train) < :least ORDER BY label
"""
RAREST = (
    "SELECT label, count(*), min(record_id), min(source) FROM kept GROUP BY label ORDER BY 2, 1 LIMIT :named"
)


def assign_splits(database: sqlite3.Connection) -> None:
    """Create the table `placed`, each record with its split, and the view `kept`, the dataset's rows."""
    declared = database.execute("SELECT 1 FROM records WHERE declared = 'validation' LIMIT 1").fetchone()
    thresholds = {"test": threshold(TEST_SHARE), "validation": threshold(0 if declared else VALIDATION_SHARE)}
    database.create_function("md5", 1, md5, deterministic=True)
    database.execute(PLACED, thresholds)
    database.execute("CREATE TABLE omitted (label TEXT PRIMARY KEY)")
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


def omit_rare_labels(database: sqlite3.Connection, least: int) -> dict[str, int]:
    """Take labels with fewer rows of train out of the view `kept`; return the rows of each.

    If no row is left to train with, nothing is taken out: the dataset is refused for that.
    """
    train = SPLITS.index("train")
    if not database.execute("SELECT 1 FROM kept WHERE place = ? LIMIT 1", (train,)).fetchone():
        return {}
    rare = dict(database.execute(RARE, {"train": train, "least": least}))
    database.executemany("INSERT INTO omitted VALUES (?)", [(label,) for label in rare])
    return rare


def rarest_labels(database: sqlite3.Connection) -> str:
    """Name some labels with the fewest rows, each with a record and its file."""
    rows = database.execute(RAREST, {"named": NAMED_LABELS})
    return ", ".join(
        f"'{label}' ({count:,} rows, such as record '{key}' of {source})"
        for label, count, key, source in rows
    )


def check(splits: Splits, omitted: Collection[str], max_labels: int, rarest: Callable[[], str]) -> None:
    """Refuse a dataset that cannot train and test a model.

    Args:
        splits: The rows by split and label.
        omitted: The labels that are left out for too few rows.
        max_labels: The limit of different labels.
        rarest: Names the labels with the fewest rows.

    Raises:
        DatasetError: A split has no rows, or there are too few or too many labels.
    """
    train, test = splits["train"], splits["test"]
    labels = sorted({label for counts in splits.values() for label in counts})
    left_out = f"; left out for too few rows to train with: {', '.join(omitted)}" if omitted else ""
    if not train:
        raise DatasetError(f"no row is left to train with; add rows of split train{left_out}")
    if not test:
        raise DatasetError(f"no row is left to test with; add rows of split test{left_out}")
    if len(labels) > max_labels:
        raise DatasetError(
            f"{len(labels):,} different labels, at most {max_labels:,}: the wrong column? "
            f"Among them {rarest()}; if they are right, raise max_different in contract.toml"
        )
    if len(labels) == 1:
        raise DatasetError(f"every row has the label '{labels[0]}'; add rows of another{left_out}")
