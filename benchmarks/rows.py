"""The rows that a benchmark works on: real ones, or generated ones of the same length distribution."""

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
# Of the 50,000 film reviews of aclImdb, whose lengths' logarithms are about normal.
GENERATED_ROWS = 50_000
MEDIAN_CHARACTERS = 970
LOG_DEVIATION = 0.654
CHARACTERS = (32, 13_704)
VOCABULARY = 30_000
LABELS = ("neg", "pos")
TELLING_SHARE = 0.04  # of a text's words, which its label decides


class Row(NamedTuple):
    """A labelled text."""

    id: str
    text: str
    label: str


def load(data: Path | None) -> list[Row]:
    """The rows of a CSV file or of a folder's, else generated ones; shuffled, the same way every time.

    Raises:
        DataError: There is no such file, or it has other columns.
    """
    rows = list(generate(GENERATED_ROWS)) if data is None else list(read(data))
    if not rows:
        raise DataError(f"{data} holds no row")
    random.Random(SEED).shuffle(rows)  # noqa: S311 - reproducible, not secret
    return rows


def files(data: Path) -> list[Path]:
    """The CSV files that a path names.

    Raises:
        DataError: There is none.
    """
    if data.is_file() and data.name.endswith(SUFFIXES):
        return [data]
    found = sorted(path for path in data.glob("*") if path.name.endswith(SUFFIXES))
    if not found:
        raise DataError(f"{data} is no CSV file and no folder of any: give {', '.join(SUFFIXES)}")
    return found


def read(data: Path) -> Iterator[Row]:
    """Each row of the files; a text is one line, as a feature's value has to be."""
    for path in files(data):
        with _text(path) as file:
            reader = csv.DictReader(file)
            if missing := set(FIELDS) - set(reader.fieldnames or ()):
                raise DataError(f"{path.name} has no column {', '.join(sorted(missing))}")
            for row in reader:
                yield Row(row["id"], " ".join(row["text"].splitlines()), row["label"])


def generate(count: int) -> Iterator[Row]:
    """Rows of pseudo-words by Zipf's law, and some that tell the label."""
    rng = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    words = [_word(rng) for _ in range(VOCABULARY)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    telling = {label: [_word(rng) for _ in range(200)] for label in LABELS}
    for index in range(count):
        label = LABELS[index % len(LABELS)]
        length = round(MEDIAN_CHARACTERS * math.exp(rng.gauss(0, LOG_DEVIATION)))
        length = min(max(length, CHARACTERS[0]), CHARACTERS[1])
        text = rng.choices(words, cum_weights=weights, k=length // 5 + 1)
        for place in range(len(text)):
            if rng.random() < TELLING_SHARE:
                text[place] = rng.choice(telling[label])
        yield Row(f"generated/{label}/{index}", " ".join(text)[:length].strip(), label)


def replicate(rows: list[Row], count: int) -> Iterator[Row]:
    """As many rows as asked for: the given ones, then copies with ids of their own and a word more each."""
    rng = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    for index in range(count):
        copy, place = divmod(index, len(rows))
        row = rows[place]
        if copy:
            cut = row.text.find(" ", rng.randrange(len(row.text))) % (len(row.text) + 1)
            noise = f" {_word(rng)}{copy}"
            row = Row(f"{row.id}/copy-{copy}", row.text[:cut] + noise + row.text[cut:], row.label)
        yield row


def write(path: Path, rows: Iterable[Row]) -> int:
    """Write a CSV file row by row; its size in bytes."""
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
        packed: Any = raw  # the readers share no type, only what TextIOWrapper needs
        if path.suffix == ".gz":
            packed = gzip.open(raw)  # noqa: SIM115 - closed with `raw`
        elif path.suffix == ".zst":
            packed = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        yield io.TextIOWrapper(packed, encoding="utf-8-sig", newline="")
