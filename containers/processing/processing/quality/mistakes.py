"""Select the most confident wrong predictions."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from processing.quality.predictions import Scores
from processing.quality.split import Split

EXCERPT_CHARACTERS = 420


class Mistake(NamedTuple):
    """A wrong prediction."""

    id: str
    actual: str
    predicted: str
    probability: float  # of the predicted label
    actual_probability: float
    text: str = ""


def most_confident(scores: Scores, split: Split, wrong: NDArray[np.bool_], count: int) -> list[Mistake]:
    """Return the wrong predictions with the highest probability; ties in the order of the rows."""
    rows = np.flatnonzero(wrong)
    chosen = rows[np.argsort(-scores.confidence[rows], kind="stable")[:count]]
    keys = list(split.places)
    return [
        Mistake(
            keys[row],
            scores.labels[scores.actual[row]],
            scores.labels[scores.predicted[row]],
            float(scores.probabilities[row, scores.predicted[row]]),
            float(scores.probabilities[row, scores.actual[row]]),
        )
        for row in chosen
    ]


class Disagreement(NamedTuple):
    """A row that both models answer differently."""

    id: str
    source: str
    actual: str
    challenger: str
    challenger_probability: float
    champion: str
    champion_probability: float
    text: str = ""


Row = TypeVar("Row", Mistake, Disagreement)


def most_different(
    challenger: Scores, champion: Scores, split: Split, which: NDArray[np.bool_], count: int
) -> list[Disagreement]:
    """Return the rows, of `which`, with different answers, those with the most different probabilities first.

    The distance is the total variation: half the sum of the differences of all probabilities.
    """
    rows = np.flatnonzero(which & (challenger.predicted != champion.predicted))
    distance = np.abs(challenger.probabilities[rows] - champion.probabilities[rows]).sum(1) / 2
    keys, labels = list(split.places), challenger.labels
    return [
        Disagreement(
            keys[row],
            split.sources[row] or "",
            labels[challenger.actual[row]],
            labels[challenger.predicted[row]],
            float(challenger.confidence[row]),
            labels[champion.predicted[row]],
            float(champion.confidence[row]),
        )
        for row in rows[np.argsort(-distance, kind="stable")[:count]]
    ]


def with_texts(rows: Iterable[Row], texts: Mapping[str, str]) -> list[Row]:
    """Add the beginning of each text to the rows."""
    return [row._replace(text=excerpt(texts[row.id])) for row in rows]


def excerpt(text: str) -> str:
    """Return the beginning of a text in one line."""
    line = " ".join(text[: 4 * EXCERPT_CHARACTERS].split())
    if len(line) <= EXCERPT_CHARACTERS:
        return line if len(text) <= 4 * EXCERPT_CHARACTERS else line + " …"
    return line[:EXCERPT_CHARACTERS] + " …"
