"""The n-grams that are frequent enough to learn from, and the texts as rows of them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linear.compiled import compiled
from linear.features import Rows
from linear.solver import Numbers, Problem

MANY = 255
MOST = 1 << 22  # n-grams of a view: about as many weights as a model of 10 MB holds
UNKNOWN = np.int32(-1)


class Known(NamedTuple):
    """Texts as rows of known n-grams.

    Attributes:
        columns: The hash of each known n-gram, in the order in which they first come.
        problem: The rows; a row's scale makes its length 1.
    """

    columns: NDArray[np.int32]
    problem: Problem


def know(rows: Rows, bits: int, min_documents: int) -> Known:
    """Keep the n-grams of so many texts or more; of all, if none is so frequent. The rows are overwritten.

    Where that makes more than MOST, they have to be more frequent: time and memory grow as the rows do.

    Numbered as they come, those of one text lie side by side in memory: the solver's time depends on it.
    """
    documents = np.zeros(1 << bits, np.uint8)
    tally(rows.columns, documents)
    frequent = documents >= least(documents, min_documents)
    columns = np.empty(int(np.count_nonzero(frequent)), np.int32)
    places = np.where(frequent, np.int32(0), UNKNOWN)
    lengths, ends = np.diff(rows.ends), np.zeros_like(rows.ends)
    size = number(rows.columns, rows.ends, places, columns, ends)
    return Known(columns, Problem(rows.columns[:size], ends, 1 / np.sqrt(np.maximum(lengths, 1))))


def least(documents: NDArray[np.uint8], min_documents: int) -> int:
    """In how many texts an n-gram has to come."""
    counts = np.zeros(MANY + 1, np.int64)
    tally_counts(documents, counts)
    known = counts[::-1].cumsum()[::-1]  # n-grams of so many texts or more
    if not known[min_documents]:
        min_documents = 1
    while known[min_documents] > MOST and min_documents < MANY and known[min_documents + 1]:
        min_documents += 1
    return min_documents


@compiled
def tally(columns: NDArray[np.int32], documents: NDArray[np.uint8]) -> None:
    """Count how often each column comes, up to what a byte holds."""
    for column in columns:
        if documents[column] < MANY:
            documents[column] += np.uint8(1)


@compiled
def tally_counts(documents: NDArray[np.uint8], counts: Numbers) -> None:
    """Count how many columns come how often."""
    for often in documents:
        counts[often] += 1


@compiled
def number(
    columns: NDArray[np.int32],
    ends: Numbers,
    places: NDArray[np.int32],
    names: NDArray[np.int32],
    known_ends: Numbers,
) -> int:
    """Put numbers for columns as they first come, in place, without the unknown ones; return how many.

    `places` tells unknown columns, and has 0 for all others.
    """
    size, known = 0, 0
    for row in range(len(ends) - 1):
        for k in range(ends[row], ends[row + 1]):
            column = columns[k]
            place = places[column]
            if place == UNKNOWN:
                continue
            if place == 0:
                names[known] = column
                known += 1
                place = places[column] = known
            columns[size] = place - 1
            size += 1
        known_ends[row + 1] = size
    return size


@compiled
def tally_labels(
    features: NDArray[np.int32],
    ends: Numbers,
    chosen: Numbers,
    positive: NDArray[np.bool_],
    counts: NDArray[np.int32],
) -> None:
    """Count the chosen texts with each n-gram: counts[:, 1] the positive ones, counts[:, 0] the others."""
    for row in chosen:
        side = np.int64(positive[row])
        for k in range(ends[row], ends[row + 1]):
            counts[features[k], side] += 1
