"""Calibrate scores to probabilities by temperature scaling.

Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

# Prior of the scale's logarithm, for scores of a support vector machine.
PRIOR_MEAN, PRIOR_DEVIATION = 1.0, 1.0
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
STEPS = 40
LOG_SCALE_RANGE = (-4.0, 6.0)


def probabilities(scores: Floats, scale: float) -> Floats:
    """Return probabilities of shape (rows, labels); a single score belongs to the second label."""
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    raised = np.exp(scale * (scores - scores.max(axis=1, keepdims=True)))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def log_loss(predicted: Floats, actual: Labels) -> float:
    """Return the mean negative log-likelihood of the actual labels."""
    chosen = np.take_along_axis(predicted, actual[:, None], axis=1)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def fit_scale(scores: Floats, actual: Labels) -> float:
    """Return the maximum a posteriori scale of the scores, from rows that the model was not fitted on."""

    def cost(logarithm: float) -> float:
        prior = ((logarithm - PRIOR_MEAN) / PRIOR_DEVIATION) ** 2 / 2
        if not len(actual):
            return prior
        return len(actual) * log_loss(probabilities(scores, math.exp(logarithm)), actual) + prior

    low, high = LOG_SCALE_RANGE
    for _ in range(STEPS):  # golden-section search: the cost has one minimum
        left, right = high - GOLDEN_RATIO * (high - low), low + GOLDEN_RATIO * (high - low)
        if cost(left) <= cost(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def held_out_probabilities(scores: Floats, actual: Labels) -> Floats:
    """Return probabilities by cross-fitting: the scale of each half comes from the other half."""
    halves = np.arange(len(actual)) % 2 == 0
    predicted = np.empty((len(actual), max(2, scores.shape[1])))
    for half in (halves, ~halves):
        predicted[half] = probabilities(scores[half], fit_scale(scores[~half], actual[~half]))
    return predicted
