"""Fits the classifier: logistic regression on n-grams weighted by naive Bayes.

Each n-gram is scaled by the logarithm of the ratio of its frequency in one label's texts to that in
the others', then a logistic regression is fitted (Wang and Manning, Baselines and Bigrams: Simple, Good
Sentiment and Topic Classification, ACL 2012). The scale goes into the weights, so the model is linear.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from errors import TrainingDataError
from hyperparameters import Hyperparameters
from model import Floats, Model
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

ITERATIONS = 1000
TOLERANCE = 0.1
PRUNED = 0.001  # of the sum of a score's squared weights

Chosen = NDArray[np.bool_]
Labels = NDArray[np.int64]


def fit(rows: csr_array, actual: Labels, labels: Sequence[str], settings: Hyperparameters) -> Model:
    """Fit a classifier.

    Args:
        rows: What `features.ngram_rows` returns.
        actual: Each row's label, as its place in labels.

    Raises:
        TrainingDataError: No text holds a word.
    """
    model = empty_model(rows, labels, settings)
    features = model.known(rows)
    targets = range(1, 2) if len(labels) == 2 else range(len(labels))
    scores = [fit_one(features, actual == target, settings) for target in targets]
    weights = [weights for weights, _ in scores]
    return replace(
        model,
        weights=np.stack(weights if len(labels) == 2 else [prune(column) for column in weights], axis=1),
        intercepts=np.array([intercept for _, intercept in scores], np.float32),
    )


def empty_model(rows: csr_array, labels: Sequence[str], settings: Hyperparameters) -> Model:
    """A model that knows its n-grams but not yet their weights."""
    documents = np.bincount(rows.indices, minlength=rows.shape[1])
    columns = np.flatnonzero(documents >= settings.min_documents)
    if not len(columns):
        columns = np.flatnonzero(documents)
    if not len(columns):
        raise TrainingDataError("no text holds a word")
    return Model(
        labels=tuple(labels),
        ngrams=settings.ngrams,
        hash_bits=settings.hash_bits,
        columns=columns.astype(np.int32),
        weights=np.empty((0, 0), np.float32),
        intercepts=np.empty(0, np.float32),
    )


def fit_one(features: csr_array, positive: Chosen, settings: Hyperparameters) -> tuple[Floats, float]:
    """Fit one label against the others; return its weights and intercept."""
    ratio = log_ratio(features, positive, settings.smoothing)
    data = features.data * ratio[features.indices]
    scaled = csr_array((data, features.indices, features.indptr), shape=features.shape)
    # The dual has a variable a text, the primal one an n-gram, of which there are far more.
    regression = LogisticRegression(
        C=settings.inverse_regularization,
        solver="liblinear",
        dual=True,
        max_iter=ITERATIONS,
        tol=TOLERANCE,
        random_state=settings.seed,
    ).fit(scaled, positive)
    return regression.coef_[0].astype(np.float32) * ratio, float(regression.intercept_[0])


def prune(weights: Floats) -> Floats:
    """Put 0 for the smallest weights whose squares together are PRUNED of all: about three in four.

    It makes a model of many labels less than half as large. One score is small enough as it is.
    """
    order = np.argsort(np.abs(weights))
    squares = np.cumsum(np.square(weights[order], dtype=np.float64))
    pruned = weights.copy()
    pruned[order[: np.searchsorted(squares, PRUNED * squares[-1])]] = 0
    return pruned


def log_ratio(features: csr_array, positive: Chosen, smoothing: float) -> Floats:
    """How much more frequent each n-gram is in the positive texts than in the others."""
    cells = np.repeat(positive, np.diff(features.indptr))
    inside = np.bincount(features.indices[cells], minlength=features.shape[1]) + smoothing
    outside = np.bincount(features.indices[~cells], minlength=features.shape[1]) + smoothing
    return np.asarray(np.log(inside / inside.sum()) - np.log(outside / outside.sum()), np.float32)
