"""Places every record in a split: train, validation or test.

A record stands where its `split` says, else where its id's first part does (`test/…`), else where a hash of
its id does. The hash depends on nothing else, so no other record moves one between train and test.
"""

from database import Database
from errors import DatasetError

from dataset.records import SPLITS

TEST_SHARE = 0.1  # of the records whose split nothing tells
VALIDATION_SHARE = 0.1  # of the records of train, unless some are given for validation
LABELS = 100  # more are a sign of a wrong column

Splits = dict[str, dict[str, int]]  # rows by split and label

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
