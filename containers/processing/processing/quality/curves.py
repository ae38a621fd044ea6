"""Compute ROC and precision-recall curves."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processing.quality.predictions import Codes, Matrix, Scores

CURVE_POINTS = 200  # maximum per written curve


class Curve(NamedTuple):
    """A polyline."""

    x: Matrix
    y: Matrix


class Ranking:
    """The rows grouped by equal score, ascending, so that a bootstrap sample only needs counting."""

    def __init__(self, scores: Matrix, positive: NDArray[np.bool_]) -> None:
        groups, group = np.unique(scores, return_inverse=True)
        self.cells: Codes = 2 * group + positive  # group and side of each row
        self.size = 2 * len(groups)

    def counts(self, sample: Codes | None = None) -> Matrix:
        """Count rows by (group, side), for all rows or a sample of row indices; side 1 is positive."""
        cells = self.cells if sample is None else self.cells[sample]
        return np.bincount(cells, minlength=self.size).reshape(-1, 2).astype(np.float64)

    def auc(self, sample: Codes | None = None) -> float:
        """Return the share of (positive, negative) pairs in the right order, ties as half; NaN without pairs.

        This is the area under the ROC curve (Hanley and McNeil, Radiology 143, 1982).
        """
        negatives, positives = self.counts(sample).T
        pairs = negatives.sum() * positives.sum()
        if not pairs:
            return float("nan")
        below = np.cumsum(negatives) - negatives / 2
        return float((positives * below).sum() / pairs)  # no dot product: BLAS would start threads

    def above(self) -> Matrix:
        """Count rows by (threshold, side) that score at least each threshold, from the highest down."""
        return np.vstack([np.zeros(2), np.cumsum(self.counts()[::-1], axis=0)])

    def roc(self) -> Curve:
        """Return the true positive rate over the false positive rate."""
        false, true = self.above().T
        return Curve(false / max(false[-1], 1), true / max(true[-1], 1))

    def precision_recall(self) -> Curve:
        """Return the precision over the recall, starting at recall 0 with precision 1 by convention."""
        false, true = self.above().T
        precision = np.divide(true, true + false, out=np.ones_like(true), where=true + false > 0)
        return Curve(true / max(true[-1], 1), precision)

    def average_precision(self) -> float:
        """Return the area under the precision-recall curve as steps."""
        recall, precision = self.precision_recall()
        return float(np.diff(recall) @ precision[1:])


def rankings(scores: Scores) -> dict[int, Ranking]:
    """Return a ranking for each label that some but not all rows have.

    For two labels, only the positive one has a ranking.
    """
    columns = range(len(scores.labels)) if scores.positive is None else [scores.positive]
    present = np.bincount(scores.actual, minlength=len(scores.labels))
    return {
        column: Ranking(scores.probabilities[:, column], scores.actual == column)
        for column in columns
        if 0 < present[column] < len(scores.actual)
    }


def weighted_auc(ranked: dict[int, Ranking], actual: Codes, sample: Codes | None = None) -> float:
    """Return the one-vs-rest AUC, weighted by each label's rows; NaN if no label has one."""
    rows = np.bincount(actual if sample is None else actual[sample], minlength=max(ranked, default=0) + 1)
    areas = np.array([ranking.auc(sample) for ranking in ranked.values()])
    weights = np.array([rows[column] for column in ranked], np.float64)
    present = ~np.isnan(areas)
    return (
        float(areas[present] @ weights[present] / weights[present].sum()) if present.any() else float("nan")
    )


def thin(curve: Curve, points: int = CURVE_POINTS) -> Curve:
    """Thin a curve to this many points, evenly along its length, including its ends."""
    if len(curve.x) <= points:
        return curve
    steps = np.abs(np.diff(curve.x)) + np.abs(np.diff(curve.y))
    length = np.concatenate([[0.0], np.cumsum(steps)])
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], points)).clip(0, len(length) - 1))
    kept[-1] = len(length) - 1
    return Curve(curve.x[kept], curve.y[kept])
