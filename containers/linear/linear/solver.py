"""Fit linear support vector machines by dual coordinate descent.

Hsieh, Chang, Lin, Keerthi and Sundararajan, A Dual Coordinate Descent Method for Large-scale Linear SVM, ICML
2008: algorithm 3 with the squared hinge loss, as in LIBLINEAR. A feature's value is the product of the
feature's weight and the row's scale, so no values are stored.

Two models with different feature weights are fitted at once: memory access takes most of the time, so the
numbers of both models lie side by side.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linear.compiled import compiled

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Singles = NDArray[np.float32]
MODELS = 2
NEWTON_STEPS = 20


class Problem(NamedTuple):
    """Sparse rows for the solver.

    Attributes:
        features: The features of all rows, one row after the other.
        ends: The end of each row in `features`, of shape (rows + 1,); the first is 0.
        scales: The scale of each row, of shape (rows,).
    """

    features: NDArray[np.int32]
    ends: Numbers
    scales: Floats


def solve(
    problem: Problem,
    chosen: Numbers,
    signs: Floats,
    squared_weights: Singles,
    cost: float,
    epochs: int,
    tolerance: float,
    seed: int,
    duals: Floats,
) -> tuple[Singles, Floats, int]:
    """Fit the chosen rows.

    Args:
        chosen: Row indices.
        signs: The class of every row, 1 or -1.
        squared_weights: Square of each feature's weight in each model, of shape (features, MODELS). All are
            are multiplied by what makes a row's squared length 1 on average, so that the cost means the same
            whatever the weights.
        cost: The weight of a row's squared hinge loss against half of the solution's squared norm
            (LIBLINEAR's C).
        duals: Every row's dual variables, at least 0, of shape (rows, MODELS): where to start, and, changed,
            where it ended.

    Returns:
        The weights of the features, of shape (features, MODELS), the intercepts, of shape (MODELS,), and the
        number of epochs.
    """
    lengths = score(problem, squared_weights) * problem.scales[:, np.newaxis]
    means = lengths[chosen].mean(axis=0)
    means[means == 0] = 1
    table = np.zeros((len(squared_weights), 2 * MODELS), np.float32)
    table[:, MODELS:] = squared_weights / np.float32(means)
    norms = lengths / means + 1 + 0.5 / cost
    intercepts = np.zeros(MODELS)
    taken = descend(*problem, chosen, signs, norms, table, cost, epochs, tolerance, seed, duals, intercepts)
    weights = table[:, :MODELS].copy()
    margins = score(problem, weights)[chosen] * signs[chosen, np.newaxis]
    for model in range(MODELS):
        intercepts[model] = fit_intercept(margins[:, model], signs[chosen], cost, intercepts[model])
    return weights, intercepts, taken


def fit_intercept(margins: Floats, signs: Floats, cost: float, intercept: float) -> float:
    """Fit the intercept for fixed weights by Newton's method.

    Every row moves the intercept, so it converges last.
    """
    for _ in range(NEWTON_STEPS):
        losses = np.maximum(0, 1 - margins - signs * intercept)
        slope = intercept - 2 * cost * (signs * losses).sum()
        intercept -= slope / (1 + 2 * cost * np.count_nonzero(losses))
    return float(intercept)


def score(problem: Problem, weights: Singles) -> Floats:
    """Return the scores of the rows for weights of shape (features, scores), without intercepts."""
    scores = np.zeros((len(problem.scales), weights.shape[1]))
    add_scores(*problem, weights, scores)
    return scores


@compiled
def add_scores(
    features: NDArray[np.int32], ends: Numbers, scales: Floats, weights: Singles, scores: Floats
) -> None:
    """Add the scores of each row to `scores`, which is 0 before."""
    for row in range(len(scores)):
        for place in range(ends[row], ends[row + 1]):
            for column in range(weights.shape[1]):
                scores[row, column] += weights[features[place], column]
        scores[row] *= scales[row]


@compiled
def weights_from_duals(
    features: NDArray[np.int32],
    ends: Numbers,
    scales: Floats,
    chosen: Numbers,
    signs: Floats,
    table: Singles,
    duals: Floats,
    intercepts: Floats,
) -> None:
    """Compute weights and intercepts from the dual variables."""
    table[:, :MODELS] = np.float32(0)
    intercepts[:] = 0.0
    steps = np.empty(MODELS, np.float32)
    for row in chosen:
        if duals[row].any():
            intercepts += signs[row] * duals[row]
            steps[:] = signs[row] * scales[row] * duals[row]
            update_weights(features, ends[row], ends[row + 1], steps, table)


@compiled
def update_weights(features: NDArray[np.int32], begin: int, end: int, steps: Singles, table: Singles) -> None:
    """Update the weights of a row's features."""
    for k in range(begin, end):
        feature = features[k]
        for model in range(MODELS):
            table[feature, model] += steps[model] * table[feature, MODELS + model]


@compiled
def descend(
    features: NDArray[np.int32],
    ends: Numbers,
    scales: Floats,
    chosen: Numbers,
    signs: Floats,
    norms: Floats,
    table: Singles,
    cost: float,
    epochs: int,
    tolerance: float,
    seed: int,
    duals: Floats,
    intercepts: Floats,
) -> int:
    """Visit the rows in random order until no dual variable violates optimality by more than `tolerance`.

    If the epochs do not suffice, the result is the mean over the last half of them, which varies less than
    the last one. Arguments that `solve` also has are the same as there; the others are:

    Args:
        norms: The diagonal of the dual problem per row, of shape (rows, MODELS).
        table: Of shape (features, 2 * MODELS), one cache line per feature: its weights, which are updated,
            and the squares of its feature weights, which are not.
        intercepts: Of shape (MODELS,); updated.

    Returns:
        The number of epochs.
    """
    diagonal = 0.5 / cost
    active, count = chosen.copy(), len(chosen)
    sums, summed = np.zeros_like(duals), 0
    limits, worst = np.full(MODELS, np.inf), np.zeros(MODELS)
    totals, steps = np.empty(MODELS, np.float32), np.empty(MODELS, np.float32)
    weights_from_duals(features, ends, scales, chosen, signs, table, duals, intercepts)
    random, epoch = np.uint64(seed), 0
    while epoch < epochs:
        epoch += 1
        worst[:] = 0.0
        place = 0
        while place < count:
            random = random * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            other = place + np.int64((random >> np.uint64(33)) % np.uint64(count - place))
            row = active[other]
            active[other], active[place] = active[place], row
            totals[:] = np.float32(0)
            for k in range(ends[row], ends[row + 1]):
                for model in range(MODELS):
                    totals[model] += table[features[k], model]
            settled, moved = True, False
            for model in range(MODELS):
                dual = duals[row, model]
                margin = signs[row] * (totals[model] * scales[row] + intercepts[model])
                gradient = margin - 1.0 + diagonal * dual
                if dual > 0.0 or gradient < 0.0:
                    worst[model] = max(worst[model], abs(gradient))
                settled = settled and dual == 0.0 and gradient > limits[model]
                change = max(dual - gradient / norms[row, model], 0.0) - dual
                moved = moved or change != 0.0
                duals[row, model] += change
                intercepts[model] += change * signs[row]
                steps[model] = change * signs[row] * scales[row]
            if settled:
                # Shrinking: the row is far on the right side, so skip it until the others have converged.
                count -= 1
                active[place], active[count] = active[count], row
                continue
            if moved:
                update_weights(features, ends[row], ends[row + 1], steps, table)
            place += 1
        limits[:] = worst
        if worst.max() <= tolerance:
            if count == len(chosen):
                return epoch
            count = len(chosen)
            limits[:] = np.inf
        if 2 * epoch > epochs:
            sums += duals
            summed += 1
    if summed > 1:
        duals[:] = sums / summed
        weights_from_duals(features, ends, scales, chosen, signs, table, duals, intercepts)
    return epoch
