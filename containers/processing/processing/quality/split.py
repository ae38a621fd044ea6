"""Read the test split: its labels, the lengths of its texts, and a few texts, never all texts at once."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processing.errors import QualityError


@dataclass(frozen=True)
class Split:
    """The labelled test rows, in the order of their file."""

    places: dict[str, int]  # row index by id
    labels: list[str]
    sources: list[str | None]


def read_split(folder: Path) -> Split:
    """Read the rows {"id", "label", "source"}; the source may be missing.

    Raises:
        QualityError: There are no rows, a malformed row, or two rows with the same id.
    """
    split = Split({}, [], [])
    for where, row in read_rows(folder, "label"):
        if row["id"] in split.places:
            raise QualityError(f"{where}: a second row with the id '{row['id']}'")
        source = row.get("source")
        if source is not None and not isinstance(source, str):
            raise QualityError(f"{where}: 'source' is not a string")
        split.places[row["id"]] = len(split.labels)
        split.labels.append(row["label"])
        split.sources.append(source)
    if not split.labels:
        raise QualityError(f"{folder.name} has no rows")
    return split


def read_lengths(folder: Path, split: Split) -> NDArray[np.intp]:
    """Return the number of characters of each row's text.

    Raises:
        QualityError: The test rows do not match the labels, or a row is malformed.
    """
    lengths: dict[str, int] = {}
    for where, row in read_rows(folder, "text"):
        if row["id"] in lengths:
            raise QualityError(f"{where}: a second test row with the id '{row['id']}'")
        lengths[row["id"]] = len(row["text"])
    require_same(split.places, lengths, "test row")
    return np.array([lengths[key] for key in split.places])


def read_texts(folder: Path, keys: Collection[str]) -> dict[str, str]:
    """Return the texts of a few rows by id."""
    return {row["id"]: row["text"] for _, row in read_rows(folder, "text") if row["id"] in keys}


def require_same(expected: Mapping[str, int], other: Iterable[str], noun: str) -> None:
    """Raise an error unless labels and counterparts have the same ids."""
    others = set(other)
    if missing := expected.keys() - others:
        raise QualityError(f"labels without a {noun}: {len(missing):,}, for example of '{min(missing)}'")
    if extra := others - expected.keys():
        raise QualityError(f"{noun}s without a label: {len(extra):,}, for example '{min(extra)}'")


def read_rows(folder: Path, column: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each JSON Lines row with its location."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.isspace():
                    where = f"{folder.name}/{path.name}, line {number}"
                    yield where, parse_row(where, line, column)


def parse_row(where: str, line: bytes, column: str) -> dict[str, Any]:
    """Parse a row that has an id and this column, both strings."""
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise QualityError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise QualityError(f"{where}: not a JSON object")
    for name in ("id", column):
        if not isinstance(row.get(name), str):
            raise QualityError(f"{where}: no '{name}'")
    return row
