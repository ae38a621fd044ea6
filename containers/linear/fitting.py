"""Fits the classifier: support vector machines on n-grams weighted by naive Bayes.

Each n-gram is weighted by the logarithm of the ratio of its frequency in one label's texts to that in the
others' (Wang and Manning, Baselines and Bigrams: Simple, Good Sentiment and Topic Classification, ACL 2012).
Models of several views, and with weights by inverse document frequency, are added up: all are linear.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from known import Known, tally_labels
from numpy.typing import NDArray
from solver import Floats, Numbers, Singles, score, solve

Labels = NDArray[np.int64]
Weighting = Literal["ratio", "idf"]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the models that are added up.

    Attributes:
        view: The place of its view among all.
        weighting: How its n-grams are weighted.
        share: Of the sum, from 0 to 1.
    """

    view: int
    weighting: Weighting
    share: float


@dataclass(frozen=True, slots=True)
class Solver:
    """How a support vector machine is fitted; see solver.descend."""

    smoothing: float
    cost: float
    epochs: int
    tolerance: float
    seed: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """A sum of models.

    Attributes:
        weights: Of each view, of shape (n-grams, scores); two labels share one score, more have one each.
        intercepts: Of shape (scores,).
        duals: Of each part and score, of shape (rows,): where a fit of other rows may start.
    """

    weights: list[Singles]
    intercepts: Floats
    duals: list[list[Floats]]

    def scores(self, views: Sequence[Known]) -> Floats:
        """The rows' scores, of shape (rows, scores)."""
        count = len(views[0].problem.scales)
        total = np.tile(self.intercepts, (count, 1))
        for known, weights in zip(views, self.weights, strict=True):
            for place in range(weights.shape[1]):
                out = np.empty(count)
                score(*known.problem, np.ascontiguousarray(weights[:, place]), 0.0, out)
                total[:, place] += out
        return total


def fit(
    views: Sequence[Known],
    parts: Sequence[Part],
    actual: Labels,
    chosen: Numbers,
    solver: Solver,
    start: Fitted | None = None,
) -> Fitted:
    """Fit the chosen rows.

    Args:
        actual: Each row's label, as its place among the labels.
        chosen: Places of rows; every label is among them.
        start: A fit of other rows, most of them the same: this one is found in a fraction of the time.
    """
    labels = int(actual.max()) + 1
    targets = [1] if labels == 2 else list(range(labels))
    weights = [np.zeros((len(known.columns), len(targets)), np.float32) for known in views]
    intercepts = np.zeros(len(targets))
    duals = (
        [[old.copy() for old in part] for part in start.duals]
        if start
        else [[np.zeros(len(actual)) for _ in targets] for _ in parts]
    )

    def fit_one(task: tuple[int, int]) -> tuple[Singles, float]:
        part, place = task
        return fit_part(
            views[parts[part].view],
            parts[part].weighting,
            actual == targets[place],
            chosen,
            solver,
            duals[part][place],
        )

    tasks = list(product(range(len(parts)), range(len(targets))))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (part, place), (found, intercept) in zip(tasks, pool.map(fit_one, tasks), strict=True):
            weights[parts[part].view][:, place] += np.float32(parts[part].share) * found
            intercepts[place] += parts[part].share * intercept
    return Fitted(weights, intercepts, duals)


def fit_part(
    known: Known,
    weighting: Weighting,
    positive: NDArray[np.bool_],
    chosen: Numbers,
    solver: Solver,
    duals: Floats,
) -> tuple[Singles, float]:
    """Fit one label against the others; return each n-gram's weight in the score, and the intercept."""
    counts = np.zeros((len(known.columns), 2), np.int32)
    tally_labels(known.problem.features, known.problem.ends, chosen, positive, counts)
    sizes = np.square(WEIGHTINGS[weighting](counts, len(chosen), solver.smoothing))
    lengths = np.empty(len(positive))
    score(*known.problem, sizes, 0.0, lengths)
    # So that a row's squared length is 1 on average, and the cost means the same whatever the weights.
    mean = float((lengths[chosen] * known.problem.scales[chosen]).mean())
    sizes /= np.float32(mean or 1.0)
    signs = np.where(positive, 1.0, -1.0)
    return solve(
        known.problem, chosen, signs, sizes, solver.cost, solver.epochs, solver.tolerance, solver.seed, duals
    )[:2]


def log_ratio(counts: NDArray[np.int32], rows: int, smoothing: float) -> Singles:
    """How much more frequent each n-gram is in the positive texts than in the others."""
    inside, outside = counts[:, 1] + smoothing, counts[:, 0] + smoothing
    return np.asarray(np.log(inside / outside * (outside.sum() / inside.sum())), np.float32)


def idf(counts: NDArray[np.int32], rows: int, smoothing: float) -> Singles:
    """How few texts hold each n-gram."""
    return np.asarray(np.log((rows + 1) / (counts.sum(axis=1) + 1)), np.float32)


WEIGHTINGS: dict[Weighting, Callable[[NDArray[np.int32], int, float], Singles]] = {
    "ratio": log_ratio,
    "idf": idf,
}
