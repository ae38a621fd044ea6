"""Measure calibration: whether predictions with probability p are correct with frequency p."""

from dataclasses import dataclass

import numpy as np

from processing.quality.predictions import Matrix, Scores

BINS = 20  # of equal width, over all probabilities: 5 points each


@dataclass(frozen=True)
class Calibration:
    """Confidence (the probability of the predicted label) against accuracy, in bins."""

    rows: Matrix  # of each nonempty bin
    confidence: Matrix  # their mean
    accuracy: Matrix
    expected_error: float  # |confidence - accuracy|, weighted by rows (Guo et al., ICML 2017)
    brier: float  # of the positive label; for more labels, the sum over them, up to 2


def calibrate(scores: Scores) -> Calibration:
    """Group the predictions by confidence."""
    confidence = scores.confidence
    bins = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    rows = np.bincount(bins, minlength=BINS).astype(np.float64)
    present = rows > 0
    rows = rows[present]
    confidences = np.bincount(bins, confidence, BINS)[present] / rows
    accuracy = np.bincount(bins, scores.right, BINS)[present] / rows
    error = float(rows @ np.abs(confidences - accuracy) / rows.sum())
    return Calibration(rows, confidences, accuracy, error, brier(scores))


def brier(scores: Scores) -> float:
    """Return the mean squared error of the probabilities (Brier, Monthly Weather Review 78, 1950)."""
    actual = scores.actual[:, None] == np.arange(len(scores.labels))
    errors = (scores.probabilities - actual) ** 2
    return float(errors.sum(1).mean() if scores.positive is None else errors[:, scores.positive].mean())
