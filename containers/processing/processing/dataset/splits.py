"""Assign every record to a split: train, validation or test.

The split is the record's `split`, else the first part of its id (`test/…`), else chosen by a hash of its id.
The hash depends on nothing else, so adding records never moves another one between train and test.
"""

import hashlib
import sqlite3

from processing.dataset.records import SPLITS
from processing.errors import DatasetError

TEST_SHARE = 0.1  # of the records without a declared split
VALIDATION_SHARE = 0.1  # of the records of train, unless any is declared for validation
MAX_LABELS = 100  # more suggest a wrong column

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
KEPT = "CREATE VIEW kept AS SELECT * FROM placed WHERE place = first"


def assign_splits(database: sqlite3.Connection) -> None:
    """Create the table `placed`, each record with its split, and the view `kept`, the dataset's rows."""
    declared = database.execute("SELECT 1 FROM records WHERE declared = 'validation' LIMIT 1").fetchone()
    thresholds = {"test": threshold(TEST_SHARE), "validation": threshold(0 if declared else VALIDATION_SHARE)}
    database.create_function("md5", 1, md5, deterministic=True)
    database.execute(PLACED, thresholds)
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


def check(splits: Splits) -> None:
    """Refuse a dataset that cannot train and test a model.

    Raises:
        DatasetError: A split has no rows, or there are too few or too many labels, or train lacks one.
    """
    train, test = splits["train"], splits["test"]
    labels = sorted({label for counts in splits.values() for label in counts})
    if not train:
        raise DatasetError("no row is left to train with; add rows of split train")
    if not test:
        raise DatasetError("no row is left to test with; add rows of split test")
    if len(labels) > MAX_LABELS:
        raise DatasetError(f"{len(labels):,} different labels, at most {MAX_LABELS}: the wrong column?")
    if len(labels) == 1:
        raise DatasetError(f"every row has the label '{labels[0]}'; add rows of another")
    for label in labels:
        if label not in train:
            raise DatasetError(
                f"no row of split train has the label '{label}'; add some, or delete its others"
            )
