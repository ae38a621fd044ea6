"""Fit the classifier: support vector machines on n-grams weighted by naive Bayes.

Each n-gram is weighted by the log ratio of its frequency in one label's texts to that in the other texts
(Wang and Manning, Baselines and Bigrams: Simple, Good Sentiment and Topic Classification, ACL 2012). A second
model weights it by its inverse document frequency. The classifier is the sum of these linear models over all
views.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from linear.solver import MODELS, Floats, Numbers, Singles, score, solve
from linear.vocabulary import VocabularyRows, count_labels

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ModelShares:
    """The shares of a view's models in the sum.

    Attributes:
        ratio: Of the model weighted by log-count ratio, from 0 to 1.
        idf: Of the model weighted by inverse document frequency, from 0 to 1.
    """

    ratio: float
    idf: float


@dataclass(frozen=True, slots=True)
class Solver:
    """The solver's parameters; see solver.descend."""

    smoothing: float
    cost: float
    epochs: int
    tolerance: float
    seed: int


@dataclass(frozen=True, slots=True)
class FittedModels:
    """A sum of linear models.

    Attributes:
        weights: Per view, of shape (n-grams, scores); two labels share one score, more have one each.
        intercepts: Of shape (scores,).
        duals: Per view and score, of shape (rows, models): the start of a later fit.
    """

    weights: list[Singles]
    intercepts: Floats
    duals: list[list[Floats]]

    def scores(self, views: Sequence[VocabularyRows]) -> Floats:
        """Return the scores of the rows, of shape (rows, scores)."""
        found = (score(rows.problem, weights) for rows, weights in zip(views, self.weights, strict=True))
        return np.asarray(sum(found, start=self.intercepts))


def fit(
    views: Sequence[VocabularyRows],
    shares: Sequence[ModelShares],
    actual: Labels,
    chosen: Numbers,
    solver: Solver,
    start: FittedModels | None = None,
) -> FittedModels:
    """Fit the models on the chosen rows.

    Args:
        shares: Per view.
        actual: The label index of each row.
        chosen: Row indices; every label is among them.
        start: A fit of mostly the same rows, as a warm start.
    """
    labels = int(actual.max()) + 1
    targets = [1] if labels == 2 else list(range(labels))
    weights = [np.empty((len(rows.columns), len(targets)), np.float32) for rows in views]
    intercepts = np.zeros(len(targets))
    duals = (
        [[old.copy() for old in view] for view in start.duals]
        if start
        else [[np.zeros((len(actual), MODELS)) for _ in targets] for _ in views]
    )

    def fit_one(task: tuple[int, int]) -> tuple[Singles, float]:
        view, place = task
        return fit_view(
            views[view], shares[view], actual == targets[place], chosen, solver, duals[view][place]
        )

    tasks = list(product(range(len(views)), range(len(targets))))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (view, place), (found, intercept) in zip(tasks, pool.map(fit_one, tasks), strict=True):
            weights[view][:, place] = found
            intercepts[place] += intercept
    return FittedModels(weights, intercepts, duals)


def fit_view(
    rows: VocabularyRows,
    shares: ModelShares,
    positive: NDArray[np.bool_],
    chosen: Numbers,
    solver: Solver,
    duals: Floats,
) -> tuple[Singles, float]:
    """Fit one label against the others; return the weight of each n-gram and the intercept."""
    counts = np.zeros((len(rows.columns), 2), np.int32)
    count_labels(rows.problem.features, rows.problem.ends, chosen, positive, counts)
    sizes = np.square(np.stack([log_ratio(counts, solver.smoothing), idf(counts, len(chosen))], axis=1))
    weights, intercepts, _ = solve(
        rows.problem,
        chosen,
        np.where(positive, 1.0, -1.0),
        sizes,
        solver.cost,
        solver.epochs,
        solver.tolerance,
        solver.seed,
        duals,
    )
    parts = np.array([shares.ratio, shares.idf])
    return weights @ parts.astype(np.float32), float(intercepts @ parts)


def log_ratio(counts: NDArray[np.int32], smoothing: float) -> Singles:
    """Return the log ratio of each n-gram's frequency in the positive texts to that in the others."""
    inside, outside = counts[:, 1] + smoothing, counts[:, 0] + smoothing
    return np.asarray(np.log(inside / outside * (outside.sum() / inside.sum())), np.float32)


def idf(counts: NDArray[np.int32], rows: int) -> Singles:
    """Return the inverse document frequency of each n-gram."""
    return np.asarray(np.log((rows + 1) / (counts.sum(axis=1) + 1)), np.float32)
