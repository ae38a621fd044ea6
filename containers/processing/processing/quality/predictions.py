"""Read a model's predictions for the test split, and join them with the actual labels."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processing.errors import QualityError
from processing.quality.split import Split, read_rows, require_same

Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]

MAX_LABELS = 1000  # bounds the memory of malformed predictions
LEFT_OUT = 0.01  # probability; more than what rounding takes away from a sum of 1
NUMBERS = (float, int)  # but not bool


@dataclass(frozen=True)
class Answers:
    """A model's predictions for the rows of a split."""

    columns: list[str]  # every label of the model
    label: Codes  # shape (rows,), a column
    probabilities: Matrix  # shape (rows, columns); a label left out has 0

    def knows(self, trained: Iterable[str] = ()) -> set[str] | None:
        """Return the labels that the model can answer with, or None if they cannot be known.

        They are the labels that have a probability in any row, and those of its training rows. A row whose
        probabilities do not add up to 1 leaves labels out, so that others are unknown.

        Args:
            trained: the labels of its training rows.
        """
        if (self.probabilities.sum(1) < 1 - LEFT_OUT).any():
            return None
        return {*self.columns, *trained}


@dataclass(frozen=True)
class Scores:
    """Actual labels and one model's predictions, over the same sorted labels."""

    labels: list[str]
    actual: Codes  # shape (rows,)
    predicted: Codes  # shape (rows,)
    probabilities: Matrix  # shape (rows, labels)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Return which predictions are correct."""
        return np.asarray(self.actual == self.predicted)

    @property
    def confidence(self) -> Matrix:
        """Return the probability of each predicted label."""
        return np.asarray(self.probabilities[np.arange(len(self.actual)), self.predicted])

    @property
    def positive(self) -> int | None:
        """Return the positive label of two: the last in alphabetical order, as `pos` comes after `neg`."""
        return 1 if len(self.labels) == 2 else None

    def of_rows(self, rows: NDArray[np.bool_]) -> "Scores":
        """Return the scores of some rows."""
        return replace(
            self,
            actual=self.actual[rows],
            predicted=self.predicted[rows],
            probabilities=self.probabilities[rows],
        )

    def confusion(self) -> Matrix:
        """Count the rows by (actual, predicted) label."""
        size = len(self.labels)
        counts = np.bincount(self.actual * size + self.predicted, minlength=size * size)
        return counts.reshape(size, size).astype(np.float64)


def read_answers(folder: Path, places: Mapping[str, int]) -> Answers:
    """Read the rows {"id", "label", "probabilities"}, in any order.

    Raises:
        QualityError: A test row has no prediction or two, or a prediction is malformed.
    """
    columns: dict[str, int] = {}
    answered: set[str] = set()
    rows, labels, sizes = array("q"), array("q"), array("q")
    places_of_values, values = array("q"), array("d")
    for where, row in read_rows(folder, "label"):
        if row["id"] in answered:
            raise QualityError(f"{where}: a second row with the id '{row['id']}'")
        answered.add(row["id"])
        probabilities = checked_probabilities(where, row)
        for name in probabilities:
            columns.setdefault(name, len(columns))
        if len(columns) > MAX_LABELS:
            raise QualityError(f"{where}: the predictions have more than {MAX_LABELS:,} labels")
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
    """Return the probabilities of a prediction, which include its own label."""
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
    """Return each model's scores over all labels of the split and of the models."""
    labels = sorted({*split.labels, *(name for answers in models for name in answers.columns)})
    place = {name: i for i, name in enumerate(labels)}
    actual = np.array([place[label] for label in split.labels])
    return [Scores(labels, actual, *align(answers, place)) for answers in models]


def align(answers: Answers, place: Mapping[str, int]) -> tuple[Codes, Matrix]:
    """Map a model's labels and probabilities to other columns."""
    columns = np.array([place[name] for name in answers.columns])
    probabilities = np.zeros((len(answers.label), len(place)))
    probabilities[:, columns] = answers.probabilities
    return columns[answers.label], probabilities
