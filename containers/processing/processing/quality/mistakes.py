"""Select the most confident wrong predictions."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

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


def with_texts(mistakes: Iterable[Mistake], texts: Mapping[str, str]) -> list[Mistake]:
    """Add the beginning of each text to the mistakes."""
    return [mistake._replace(text=excerpt(texts[mistake.id])) for mistake in mistakes]


def excerpt(text: str) -> str:
    """Return the beginning of a text in one line."""
    line = " ".join(text[: 4 * EXCERPT_CHARACTERS].split())
    if len(line) <= EXCERPT_CHARACTERS:
        return line if len(text) <= 4 * EXCERPT_CHARACTERS else line + " …"
    return line[:EXCERPT_CHARACTERS] + " …"
