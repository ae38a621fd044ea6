"""Reads the test split's labels and a model's answers to it."""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from errors import QualityError
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]

LABELS = 1000  # bounds what one malformed answer after the other can cost
NUMBERS = (float, int)  # and no bool


@dataclass(frozen=True)
class Split:
    """The labelled test rows, in the order of their file."""

    places: dict[str, int]  # an id's row
    labels: list[str]
    sources: list[str | None]


@dataclass(frozen=True)
class Answers:
    """What a model answered to each row of a split."""

    columns: list[str]  # every label that it knows
    label: Codes  # shape (rows,), a column
    probabilities: Matrix  # shape (rows, columns); a label left out has 0


@dataclass(frozen=True)
class Scores:
    """Actual labels and one model's answers, over the same sorted labels."""

    labels: list[str]
    actual: Codes  # shape (rows,)
    predicted: Codes  # shape (rows,)
    probabilities: Matrix  # shape (rows, labels)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which rows are answered rightly."""
        return np.asarray(self.actual == self.predicted)

    @property
    def confidence(self) -> Matrix:
        """The probability of each answer."""
        return np.asarray(self.probabilities[np.arange(len(self.actual)), self.predicted])

    @property
    def positive(self) -> int | None:
        """The positive label of two: the last in the alphabet, as `pos` is after `neg`."""
        return 1 if len(self.labels) == 2 else None

    def confusion(self) -> Matrix:
        """Count the rows by (actual, predicted) label."""
        size = len(self.labels)
        counts = np.bincount(self.actual * size + self.predicted, minlength=size * size)
        return counts.reshape(size, size).astype(np.float64)


def read_split(folder: Path) -> Split:
    """Read the rows {"id", "label", "source"}; the source may be missing.

    Raises:
        QualityError: There is no row, a malformed one, or two of one id.
    """
    split = Split({}, [], [])
    for where, row in read_rows(folder, "label"):
        if row["id"] in split.places:
            raise QualityError(f"{where}: a second row with the id '{row['id']}'")
        source = row.get("source")
        if source is not None and not isinstance(source, str):
            raise QualityError(f"{where}: 'source' is no text")
        split.places[row["id"]] = len(split.labels)
        split.labels.append(row["label"])
        split.sources.append(source)
    if not split.labels:
        raise QualityError(f"there is no row in {folder.name}")
    return split


def read_answers(folder: Path, places: Mapping[str, int]) -> Answers:
    """Read the rows {"id", "label", "probabilities"}, in any order.

    Raises:
        QualityError: A test row has no answer or two, or an answer is malformed.
    """
    columns: dict[str, int] = {}
    answered: dict[str, int] = {}
    rows, labels, sizes = array("q"), array("q"), array("q")
    places_of_values, values = array("q"), array("d")
    for where, row in read_rows(folder, "label"):
        if row["id"] in answered:
            raise QualityError(f"{where}: a second row with the id '{row['id']}'")
        answered[row["id"]] = 1
        probabilities = checked_probabilities(where, row)
        for name in probabilities:
            columns.setdefault(name, len(columns))
        if len(columns) > LABELS:
            raise QualityError(f"{where}: the predictions know more than {LABELS:,} labels")
        rows.append(places.get(row["id"], 0))
        labels.append(columns[row["label"]])
        sizes.append(len(probabilities))
        places_of_values.extend(columns[name] for name in probabilities)
        values.extend(probabilities.values())
    require_same(places, answered, "prediction")
    label = np.empty(len(places), np.intp)
    label[np.asarray(rows)] = labels
    matrix = np.zeros((len(places), len(columns)))
    matrix[np.repeat(rows, sizes), places_of_values] = values
    return Answers(list(columns), label, matrix)


def checked_probabilities(where: str, row: Mapping[str, Any]) -> dict[str, float]:
    """An answer's probability of each label, its own label among them."""
    probabilities = row.get("probabilities")
    if not isinstance(probabilities, dict):
        raise QualityError(f"{where}: the prediction has no probabilities")
    if row["label"] not in probabilities:
        raise QualityError(f"{where}: the prediction has no probability of its label '{row['label']}'")
    for name, value in probabilities.items():
        if type(value) not in NUMBERS or not 0 <= value <= 1:
            raise QualityError(f"{where}: the probability of '{name}' is {value!r}, not between 0 and 1")
    return probabilities


def join(split: Split, *models: Answers) -> list[Scores]:
    """Each model's scores over all labels that the split or any of the models knows."""
    labels = sorted({*split.labels, *(name for answers in models for name in answers.columns)})
    place = {name: i for i, name in enumerate(labels)}
    actual = np.array([place[label] for label in split.labels])
    return [Scores(labels, actual, *align(answers, place)) for answers in models]


def align(answers: Answers, place: Mapping[str, int]) -> tuple[Codes, Matrix]:
    """A model's labels and probabilities with other columns."""
    columns = np.array([place[name] for name in answers.columns])
    probabilities = np.zeros((len(answers.label), len(place)))
    probabilities[:, columns] = answers.probabilities
    return columns[answers.label], probabilities


def require_same(expected: Mapping[str, int], other: Iterable[str], noun: str) -> None:
    """Refuse when a labelled row has no counterpart, or a counterpart no label."""
    others = set(other)
    if missing := expected.keys() - others:
        raise QualityError(f"labels without a {noun}: {len(missing):,}, for example of '{min(missing)}'")
    if extra := others - expected.keys():
        raise QualityError(f"{noun}s without a label: {len(extra):,}, for example '{min(extra)}'")


def read_rows(folder: Path, column: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each JSON Lines row stands, and the row."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.isspace():
                    where = f"{folder.name}/{path.name}, line {number}"
                    yield where, parse_row(where, line, column)


def parse_row(where: str, line: bytes, column: str) -> dict[str, Any]:
    """Return a row that has an id and this column, both strings."""
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
