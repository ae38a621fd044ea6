"""Measure accuracy per slice of the test split, so that a good mean hides no bad slice."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processing.quality.predictions import Codes, Scores
from processing.quality.split import Split

NORMAL_QUANTILE = 1.959964  # of 0.975: two sides of 95%
NO_SOURCE = "(no source)"


class Slice(NamedTuple):
    """A slice of the test rows."""

    by: str
    name: str
    rows: int
    accuracy: float
    low: float
    high: float


def slices(scores: Scores, split: Split, lengths: Codes) -> list[Slice]:
    """Slice by quartile of text length, by source file, and by actual label.

    Sources and labels are sorted by their number of rows.
    """
    names, codes = quartiles(lengths)
    sources = [source or NO_SOURCE for source in split.sources]
    files, file_codes = np.unique(np.array(sources, dtype=object), return_inverse=True)
    return [
        *slice_accuracies("text length", names, codes, scores.right),
        *sorted(slice_accuracies("source", list(files), file_codes, scores.right), key=most_rows_first),
        *sorted(slice_accuracies("label", scores.labels, scores.actual, scores.right), key=most_rows_first),
    ]


def slice_accuracies(by: str, names: list[str], codes: Codes, right: NDArray[np.bool_]) -> Iterator[Slice]:
    """Yield each nonempty slice."""
    rows = np.bincount(codes, minlength=len(names))
    hits = np.bincount(codes, right, len(names))
    for name, count, hit in zip(names, rows.tolist(), hits.tolist(), strict=True):
        if count:
            yield Slice(by, name, count, hit / count, *wilson(hit / count, count))


def quartiles(lengths: Codes) -> tuple[list[str], Codes]:
    """Return the names of the length quartiles and each row's quartile; ties stay together."""
    edges = np.unique(np.quantile(lengths, [0.25, 0.5, 0.75], method="lower"))
    codes = np.searchsorted(edges, lengths)
    bounds = [int(lengths.min()) - 1, *edges.tolist(), int(lengths.max())]
    return [f"{low + 1:,} to {high:,} characters" for low, high in pairwise(bounds)], codes


def wilson(share: float, rows: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson, JASA 22, 1927), also for few rows and shares of 0 or 1."""
    square = NORMAL_QUANTILE**2 / rows
    middle = (share + square / 2) / (1 + square)
    half = NORMAL_QUANTILE * (share * (1 - share) / rows + square / rows / 4) ** 0.5 / (1 + square)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def most_rows_first(item: Slice) -> tuple[int, str]:
    """Return a sort key."""
    return -item.rows, item.name
