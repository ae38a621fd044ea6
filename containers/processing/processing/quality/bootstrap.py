"""Estimate the uncertainty of metrics by bootstrap over the test rows.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993: chapter 6 (standard deviations) and 13
(percentile intervals). The seed is fixed, so the same rows give the same figures.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from processing.quality.predictions import Codes, Matrix

LEVEL = 0.95
DRAWS = 1000
FEWEST_DRAWS = 100
CONFUSION_CELLS = 4_000_000  # over all draws: bounds the memory
ROW_CELLS = 30_000_000  # rows by labels over all draws: bounds the time
SEED = 20


class Estimate(NamedTuple):
    """A value, its standard deviation, and its interval at LEVEL."""

    value: float
    deviation: float
    low: float
    high: float


def estimate(value: float, drawn: Matrix) -> Estimate:
    """Return an estimate from the bootstrap values; NaN values are ignored."""
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < 2:
        return Estimate(value, float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(drawn.std(ddof=1)), float(low), float(high))


def estimates(values: Mapping[str, Matrix], drawn: Mapping[str, Matrix]) -> dict[str, Estimate]:
    """Return an estimate of each metric."""
    return {name: estimate(float(value), drawn[name]) for name, value in values.items()}


def draw_confusions(confusion: Matrix) -> Matrix:
    """Draw confusion matrices of resampled test splits, shape (draws, labels, labels).

    Drawing the cells from a multinomial is equivalent to drawing rows with replacement.
    """
    return draw_cells(confusion.ravel(), confusion.size).reshape(-1, *confusion.shape)


def draw_cells(counts: Matrix, cells: int) -> Matrix:
    """Draw rows with replacement that are described by their cell alone, shape (draws, counts).

    Args:
        counts: The number of rows per cell.
        cells: The number of values per draw; more values take fewer draws.
    """
    draws = max(FEWEST_DRAWS, min(DRAWS, CONFUSION_CELLS // cells))
    random = np.random.default_rng(SEED)
    return random.multinomial(int(counts.sum()), counts / counts.sum(), size=draws).astype(np.float64)


def draw_rows(rows: int, labels: int) -> Iterator[Codes]:
    """Draw row indices with replacement; more labels take fewer draws."""
    draws = max(FEWEST_DRAWS, min(DRAWS, ROW_CELLS // (rows * labels)))
    random = np.random.default_rng(SEED)
    for _ in range(draws):
        yield random.integers(0, rows, rows)
