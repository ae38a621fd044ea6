"""Store the weights of n-grams in one byte each, on disk and in memory.

A byte holds the sign and the square root of a weight, so small weights have the same relative precision as
large ones. On disk, the positions of the nonzero weights are stored as gaps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linear.compiled import compiled
from linear.features import Rows
from linear.solver import Floats, Singles

MODEL_BYTES = 9_500_000  # maximum size, before compression
LEVELS = 127
LONG_GAP = 255  # marks a larger gap, whose size is the next entry of `jumps`
Bytes = NDArray[np.int8]


@dataclass(frozen=True)
class WeightTable:
    """The weights of one view.

    Attributes:
        columns: The n-grams with a nonzero weight, ascending.
        codes: Their weights as bytes, of shape (columns, scores).
        peak: The largest weight.
        bits: N-grams are hashed to 2 to the power of this many columns.
    """

    columns: NDArray[np.int32]
    codes: Bytes
    peak: float
    bits: int

    @cached_property
    def size(self) -> int:
        """Return the number of nonzero weights."""
        return int(np.count_nonzero(self.codes))

    @cached_property
    def levels(self) -> Singles:
        """Return the weight of each byte value, of shape (256,)."""
        roots = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float64) / LEVELS
        return (np.sign(roots) * roots**2 * self.peak).astype(np.float32)

    @cached_property
    def lookup(self) -> tuple[NDArray[np.int32], Bytes]:
        """Return the position of each hash in `columns`, and the codes with a row of 0 before them."""
        places = np.zeros(1 << self.bits, np.int32)
        places[self.columns] = np.arange(1, len(self.columns) + 1, dtype=np.int32)
        return places, np.vstack([np.zeros((1, self.codes.shape[1]), np.int8), self.codes])

    @cached_property
    def dense(self) -> Bytes:
        """Return the codes of all hashes for a single score, which saves one memory access per n-gram."""
        codes = np.zeros(1 << self.bits, np.int8)
        codes[self.columns] = self.codes[:, 0]
        return codes

    def add(self, rows: Rows, total: Floats) -> None:
        """Add each row's scores to `total`, of shape (rows, scores)."""
        if total.shape[1] == 1:
            add_single_score(rows.columns, rows.ends, self.dense, self.levels, total)
        else:
            add_scores(rows.columns, rows.ends, *self.lookup, self.levels, total)

    def weights(self, columns: NDArray[np.int32]) -> Singles:
        """Return the weights of n-grams, of shape (columns, scores)."""
        places, codes = self.lookup
        return self.levels[codes[places[columns]].view(np.uint8)]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays that `load_table` reads."""
        rows, scores = np.nonzero(self.codes)
        gaps, jumps = encode_gaps(self.columns[rows].astype(np.int64) * self.codes.shape[1] + scores)
        return {
            "gaps": gaps,
            "jumps": jumps,
            "codes": self.codes[rows, scores],
            "peak": np.array(self.peak, np.float32),
        }


def load_table(arrays: Mapping[str, NDArray[np.generic]], scores: int, bits: int) -> WeightTable:
    """Build a table from the arrays of `WeightTable.arrays`."""
    steps = arrays["gaps"].astype(np.int64)
    steps[steps == LONG_GAP] = arrays["jumps"]
    named, places = np.divmod(np.cumsum(steps) - 1, scores)
    columns, rows = np.unique(named, return_inverse=True)
    codes = np.zeros((len(columns), scores), np.int8)
    codes[rows, places] = arrays["codes"]
    return WeightTable(columns.astype(np.int32), codes, float(arrays["peak"]), bits)


def quantize(columns: NDArray[np.int32], weights: Singles, bits: int) -> WeightTable:
    """Quantize each weight to a byte."""
    peak = np.float32(np.abs(weights).max(initial=0)) or np.float32(1)
    codes = np.rint(np.sign(weights) * np.sqrt(np.abs(weights) / peak) * LEVELS).astype(np.int8)
    kept = np.flatnonzero(codes.any(axis=1))
    kept = kept[np.argsort(columns[kept])]
    return WeightTable(columns[kept], codes[kept], float(peak), bits)


def prune(weights: Sequence[Singles], bits: Sequence[int]) -> list[Singles]:
    """Set the smallest weights to 0, as few as keep the model's file below MODEL_BYTES."""
    sizes = np.concatenate([np.abs(one).ravel() for one in weights])
    spaces = [(1 << width) * one.shape[1] for width, one in zip(bits, weights, strict=True)]
    nonzero = int(np.count_nonzero(sizes))
    count = min(nonzero, MODEL_BYTES // 2)
    # If gaps are distributed geometrically, this many are long and take four more bytes.
    while count and count * (2 + 4 * np.exp(-LONG_GAP * count / sum(spaces))) > MODEL_BYTES:
        count = int(count * 0.98)
    if count == nonzero:
        return list(weights)
    least = np.partition(sizes, len(sizes) - count)[len(sizes) - count]
    return [np.where(np.abs(one) >= least, one, np.float32(0)) for one in weights]


def encode_gaps(places: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Encode ascending positions as one-byte gaps, and the gaps that do not fit; the first starts at -1."""
    steps = np.diff(places, prepend=-1)
    long = steps >= LONG_GAP
    return np.where(long, LONG_GAP, steps).astype(np.uint8), steps[long].astype(np.uint32)


@compiled
def add_single_score(
    columns: NDArray[np.int32], ends: NDArray[np.int64], codes: Bytes, levels: Singles, total: Floats
) -> None:
    """Add the score of each row."""
    for row in range(len(total)):
        score = 0.0
        for k in range(ends[row], ends[row + 1]):
            score += levels[np.uint8(codes[columns[k]])]
        total[row, 0] += score / np.sqrt(max(1, ends[row + 1] - ends[row]))


@compiled
def add_scores(
    columns: NDArray[np.int32],
    ends: NDArray[np.int64],
    places: NDArray[np.int32],
    codes: Bytes,
    levels: Singles,
    total: Floats,
) -> None:
    """Add the scores of each row."""
    scores = np.empty(total.shape[1])
    for row in range(len(total)):
        scores[:] = 0.0
        for k in range(ends[row], ends[row + 1]):
            place = places[columns[k]]
            if place:
                for label in range(len(scores)):
                    scores[label] += levels[np.uint8(codes[place, label])]
        total[row] += scores / np.sqrt(max(1, ends[row + 1] - ends[row]))
