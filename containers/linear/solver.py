"""The solver: a linear support vector machine by dual coordinate descent.

Hsieh, Chang, Lin, Keerthi and Sundararajan, A Dual Coordinate Descent Method for Large-scale Linear SVM,
ICML 2008: algorithm 3, with the squared hinge loss, as in LIBLINEAR. A feature has a weight, the same in all
rows, and a row has a scale: a value is their product, so that none is stored.
"""

from typing import NamedTuple

import numpy as np
from compiled import compiled
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Singles = NDArray[np.float32]
NEWTON_STEPS = 20


class Problem(NamedTuple):
    """Rows in a solver's terms.

    Attributes:
        features: One row's after the other's, int32.
        ends: Where each row's end, of shape (rows + 1,); the first is 0.
        scales: Of shape (rows,).
    """

    features: NDArray[np.int32]
    ends: Numbers
    scales: Floats


def solve(
    problem: Problem,
    chosen: Numbers,
    signs: Floats,
    sizes: Singles,
    cost: float,
    epochs: int,
    tolerance: float,
    seed: int,
    duals: Floats,
) -> tuple[Singles, float, int]:
    """Fit the chosen rows' signs.

    Args:
        chosen: Places of rows.
        signs: 1 or -1 of every row.
        sizes: The square of each feature's weight.
        cost: Of a row's squared hinge loss, against half of the solution's squared length (LIBLINEAR's C).
        duals: Every row's dual variable, at least 0: where to start, and, changed, where it ended.

    Returns:
        The score's weight of each feature, the intercept, and the epochs that it took.
    """
    pairs = np.zeros((len(sizes), 2), np.float32)
    pairs[:, 1] = sizes
    intercept = np.zeros(1)
    taken = descend(*problem, chosen, signs, pairs, cost, epochs, tolerance, seed, duals, intercept)
    weights = pairs[:, 0].copy()
    scores = np.empty(len(duals))
    score(*problem, weights, 0.0, scores)
    return weights, settle(signs[chosen] * scores[chosen], signs[chosen], cost, intercept[0]), taken


def settle(margins: Floats, signs: Floats, cost: float, intercept: float) -> float:
    """The best intercept for these weights, by Newton's method: every row moves it, so it wavers most."""
    for _ in range(NEWTON_STEPS):
        losses = np.maximum(0, 1 - margins - signs * intercept)
        slope = intercept - 2 * cost * (signs * losses).sum()
        intercept -= slope / (1 + 2 * cost * np.count_nonzero(losses))
    return float(intercept)


@compiled
def gather(
    features: NDArray[np.int32],
    ends: Numbers,
    scales: Floats,
    chosen: Numbers,
    signs: Floats,
    pairs: Singles,
    duals: Floats,
) -> float:
    """Write the score weights that the dual variables make, and return the intercept."""
    pairs[:, 0] = np.float32(0)
    bias = 0.0
    for row in chosen:
        if duals[row] != 0.0:
            bias += duals[row] * signs[row]
            step = np.float32(duals[row] * signs[row] * scales[row])
            for place in range(ends[row], ends[row + 1]):
                pairs[features[place], 0] += step * pairs[features[place], 1]
    return bias


@compiled
def descend(
    features: NDArray[np.int32],
    ends: Numbers,
    scales: Floats,
    chosen: Numbers,
    signs: Floats,
    pairs: Singles,
    cost: float,
    epochs: int,
    tolerance: float,
    seed: int,
    duals: Floats,
    intercept: Floats,
) -> int:
    """Go through the rows in random orders until no dual variable violates optimality by more than tolerance.

    Where the epochs do not suffice for that, the result is the mean of the last half, which wavers less than
    the last. `pairs` holds each feature's score weight and squared weight side by side: one cache line.
    """
    diagonal = 0.5 / cost
    active, count = chosen.copy(), len(chosen)
    norms, sums, summed = np.zeros(len(duals)), np.zeros(len(duals)), 0
    for row in chosen:
        length = 0.0
        for place in range(ends[row], ends[row + 1]):
            length += pairs[features[place], 1]
        norms[row] = length * scales[row] ** 2 + 1.0 + diagonal
    bias = gather(features, ends, scales, chosen, signs, pairs, duals)
    random, limit, epoch = np.uint64(seed), np.inf, 0
    while epoch < epochs:
        epoch += 1
        worst, place = 0.0, 0
        while place < count:
            random = random * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            other = place + np.int64((random >> np.uint64(33)) % np.uint64(count - place))
            row = active[other]
            active[other], active[place] = active[place], row
            begin, end = ends[row], ends[row + 1]
            even, odd = np.float32(0), np.float32(0)
            for k in range(begin, end - 1, 2):
                even += pairs[features[k], 0]
                odd += pairs[features[k + 1], 0]
            if (end - begin) % 2:
                even += pairs[features[end - 1], 0]
            score = np.float64(even + odd) * scales[row] + bias
            gradient = signs[row] * score - 1.0 + diagonal * duals[row]
            if duals[row] == 0.0:
                if gradient > limit:
                    # Shrinking: far on the right side, and so left out until the others have converged.
                    count -= 1
                    active[place], active[count] = active[count], row
                    continue
                violation = min(gradient, 0.0)
            else:
                violation = gradient
            worst = max(worst, abs(violation))
            if violation != 0.0:
                dual = max(duals[row] - gradient / norms[row], 0.0)
                change = (dual - duals[row]) * signs[row]
                duals[row] = dual
                bias += change
                step = np.float32(change * scales[row])
                for k in range(begin, end):
                    pairs[features[k], 0] += step * pairs[features[k], 1]
            place += 1
        limit = worst
        if worst <= tolerance:
            if count == len(chosen):
                summed = 0
                break
            count, limit = len(chosen), np.inf
        if 2 * epoch > epochs:
            sums += duals
            summed += 1
    if summed:
        duals[:] = sums / summed
        bias = gather(features, ends, scales, chosen, signs, pairs, duals)
    intercept[0] = bias
    return epoch


@compiled
def score(
    features: NDArray[np.int32],
    ends: Numbers,
    scales: Floats,
    weights: Singles,
    intercept: float,
    out: Floats,
) -> None:
    """Write each row's score."""
    for row in range(len(out)):
        total = 0.0
        for place in range(ends[row], ends[row + 1]):
            total += weights[features[place]]
        out[row] = total * scales[row] + intercept
