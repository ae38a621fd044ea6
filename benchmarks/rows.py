"""The input rows of a benchmark: real ones, or generated ones with the same distribution of lengths."""

import csv
import gzip
import io
import itertools
import math
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import zstandard

from benchmarks.errors import DataError

FIELDS = ("id", "text", "label")
SUFFIXES = (".csv", ".csv.gz", ".csv.zst")
SEED = 3
# The statistics of the 50,000 film reviews of aclImdb, whose lengths are approximately log-normal.
GENERATED_ROWS = 50_000
MEDIAN_CHARACTERS = 970
LOG_DEVIATION = 0.654
CHARACTERS = (32, 13_704)
VOCABULARY = 30_000
LABELS = ("neg", "pos")
LABEL_WORD_SHARE = 0.04  # of a text's words, which depend on the label


class Row(NamedTuple):
    """A labelled text."""

    id: str
    text: str
    label: str


def load(data: Path | None) -> list[Row]:
    """Return the rows of a CSV file or a folder, or generated rows; reproducibly shuffled.

    Raises:
        DataError: There is no CSV file or no row, or a column is missing.
    """
    rows = list(generate(GENERATED_ROWS)) if data is None else list(read(data))
    if not rows:
        raise DataError(f"{data} contains no row")
    random.Random(SEED).shuffle(rows)  # noqa: S311 - reproducible, not secret
    return rows


def files(data: Path) -> list[Path]:
    """Return the CSV file or the CSV files in a folder.

    Raises:
        DataError: There is no CSV file.
    """
    if data.is_file() and data.name.endswith(SUFFIXES):
        return [data]
    found = sorted(path for path in data.glob("*") if path.name.endswith(SUFFIXES))
    if not found:
        raise DataError(f"{data} is not a CSV file or a folder with CSV files ({', '.join(SUFFIXES)})")
    return found


def read(data: Path) -> Iterator[Row]:
    """Yield the rows of the files; texts are joined to one line, as PutRecord requires."""
    for path in files(data):
        with _text(path) as file:
            reader = csv.DictReader(file)
            if missing := set(FIELDS) - set(reader.fieldnames or ()):
                raise DataError(f"{path.name} has no column {', '.join(sorted(missing))}")
            for row in reader:
                yield Row(row["id"], " ".join(row["text"].splitlines()), row["label"])


def generate(count: int) -> Iterator[Row]:
    """Yield rows of pseudo-words with Zipf's distribution and some words that depend on the label."""
    rng = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    words = [_word(rng) for _ in range(VOCABULARY)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    label_words = {label: [_word(rng) for _ in range(200)] for label in LABELS}
    for index in range(count):
        label = LABELS[index % len(LABELS)]
        length = round(MEDIAN_CHARACTERS * math.exp(rng.gauss(0, LOG_DEVIATION)))
        length = min(max(length, CHARACTERS[0]), CHARACTERS[1])
        text = rng.choices(words, cum_weights=weights, k=length // 5 + 1)
        for index_in_text in range(len(text)):
            if rng.random() < LABEL_WORD_SHARE:
                text[index_in_text] = rng.choice(label_words[label])
        yield Row(f"generated/{label}/{index}", " ".join(text)[:length].strip(), label)


def replicate(rows: list[Row], count: int) -> Iterator[Row]:
    """Yield `count` rows: the rows themselves, then copies with new IDs and one additional word each."""
    rng = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    for index in range(count):
        copy, original = divmod(index, len(rows))
        row = rows[original]
        if copy:
            cut = row.text.find(" ", rng.randrange(len(row.text))) % (len(row.text) + 1)
            noise = f" {_word(rng)}{copy}"
            row = Row(f"{row.id}/copy-{copy}", row.text[:cut] + noise + row.text[cut:], row.label)
        yield row


def write(path: Path, rows: Iterable[Row]) -> int:
    """Write a CSV file and return its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows(rows)
    return path.stat().st_size


def _word(rng: random.Random) -> str:
    return "".join(rng.choices("etaoinshrdlcumwfgypbvk", k=rng.choice((2, 3, 3, 4, 4, 5, 6, 8))))


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    with path.open("rb") as raw:
        content: Any = raw  # Any: the readers have no common type
        if path.suffix == ".gz":
            content = gzip.open(raw)  # noqa: SIM115 - closed with `raw`
        elif path.suffix == ".zst":
            content = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        yield io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
