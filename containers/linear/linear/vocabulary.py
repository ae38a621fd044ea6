"""Build the vocabulary of frequent n-grams, and map texts to it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linear.compiled import compiled
from linear.features import Rows
from linear.solver import Numbers, Problem

MAX_COUNT = 255
MAX_NGRAMS = 1 << 22  # per view: about as many weights as a 10 MB model holds
OUT_OF_VOCABULARY = np.int32(-1)


class VocabularyRows(NamedTuple):
    """Texts as rows of n-grams of the vocabulary.

    Attributes:
        columns: The hash of each n-gram, in the order of first occurrence.
        problem: The rows; a row's scale normalizes it to length 1.
    """

    columns: NDArray[np.int32]
    problem: Problem


def build_vocabulary(rows: Rows, bits: int, min_documents: int) -> VocabularyRows:
    """Keep the n-grams that occur in at least `min_documents` texts; keep all, if none is so frequent.

    If that leaves more than MAX_NGRAMS, the threshold rises, because time and memory grow with the
    vocabulary.

    N-grams are numbered by first occurrence, so those of one text lie side by side in memory, which the
    solver's speed depends on. The rows are overwritten.
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
    """Return the number of texts that an n-gram must occur in."""
    counts = np.zeros(MAX_COUNT + 1, np.int64)
    count_frequencies(documents, counts)
    frequencies = counts[::-1].cumsum()[::-1]  # number of n-grams by minimum number of texts
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
    """Count the texts of each column, up to the maximum of a byte."""
    for column in columns:
        if documents[column] < MAX_COUNT:
            documents[column] += np.uint8(1)


@compiled
def count_frequencies(documents: NDArray[np.uint8], counts: Numbers) -> None:
    """Count the columns by their number of texts."""
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
    """Replace columns by their vocabulary index, in place, and drop the others; return the new size.

    `places` marks columns that are not in the vocabulary, and is 0 for all others.
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
