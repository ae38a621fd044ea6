"""The n-grams that are frequent enough to learn from, and the texts as rows of them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linear.compiled import compiled
from linear.features import Rows
from linear.solver import Numbers, Problem

MAX_COUNT = 255
MAX_NGRAMS = 1 << 22  # n-grams of a view: about as many weights as a model of 10 MB holds
OUT_OF_VOCABULARY = np.int32(-1)


class VocabularyRows(NamedTuple):
    """Texts as rows of known n-grams.

    Attributes:
        columns: The hash of each known n-gram, in the order in which they first come.
        problem: The rows; a row's scale makes its length 1.
    """

    columns: NDArray[np.int32]
    problem: Problem


def build_vocabulary(rows: Rows, bits: int, min_documents: int) -> VocabularyRows:
    """Keep the n-grams of so many texts or more; of all, if none is so frequent. The rows are overwritten.

    Where that makes more than MAX_NGRAMS, they have to be more frequent: time and memory grow as the rows do.

    Numbered as they come, those of one text lie side by side in memory: the solver's time depends on it.
    """
    documents = np.zeros(1 << bits, np.uint8)
    count_documents(rows.columns, documents)
    frequent = documents >= document_threshold(documents, min_documents)
    columns = np.empty(int(np.count_nonzero(frequent)), np.int32)
    places = np.where(frequent, np.int32(0), OUT_OF_VOCABULARY)
    lengths, ends = np.diff(rows.ends), np.zeros_like(rows.ends)
    size = renumber(rows.columns, rows.ends, places, columns, ends)
    return VocabularyRows(columns, Problem(rows.columns[:size], ends, 1 / np.sqrt(np.maximum(lengths, 1))))


def document_threshold(documents: NDArray[np.uint8], min_documents: int) -> int:
    """In how many texts an n-gram has to come."""
    counts = np.zeros(MAX_COUNT + 1, np.int64)
    count_frequencies(documents, counts)
    frequencies = counts[::-1].cumsum()[::-1]  # n-grams of so many texts or more
    if not frequencies[min_documents]:
        min_documents = 1
    while (
        frequencies[min_documents] > MAX_NGRAMS
        and min_documents < MAX_COUNT
        and frequencies[min_documents + 1]
    ):
        min_documents += 1
    return min_documents


@compiled
def count_documents(columns: NDArray[np.int32], documents: NDArray[np.uint8]) -> None:
    """Count how often each column comes, up to what a byte holds."""
    for column in columns:
        if documents[column] < MAX_COUNT:
            documents[column] += np.uint8(1)


@compiled
def count_frequencies(documents: NDArray[np.uint8], counts: Numbers) -> None:
    """Count how many columns come how often."""
    for frequency in documents:
        counts[frequency] += 1


@compiled
def renumber(
    columns: NDArray[np.int32],
    ends: Numbers,
    places: NDArray[np.int32],
    names: NDArray[np.int32],
    kept_ends: Numbers,
) -> int:
    """Put numbers for columns as they first come, in place, without the unknown ones; return how many.

    `places` tells unknown columns, and has 0 for all others.
    """
    size, numbered = 0, 0
    for row in range(len(ends) - 1):
        for k in range(ends[row], ends[row + 1]):
            column = columns[k]
            place = places[column]
            if place == OUT_OF_VOCABULARY:
                continue
            if place == 0:
                names[numbered] = column
                numbered += 1
                place = places[column] = numbered
            columns[size] = place - 1
            size += 1
        kept_ends[row + 1] = size
    return size


@compiled
def count_labels(
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
