"""Multiclass metrics, in Model Monitor's names, from one or many confusion matrices."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

BOOTSTRAP_CELLS = 4_000_000  # bounds the memory of one draw
BOOTSTRAP_DRAWS = 500
SEED = 20


def metrics(confusion: Matrix) -> dict[str, Matrix]:
    """Return each metric of a confusion matrix.

    Precision, recall and F-scores are each label's, weighted by its share of the actual labels; a
    label that is never predicted has precision 0.

    Args:
        confusion: Rows by (actual, predicted) label, shape (..., labels, labels).
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    actual, predicted = confusion.sum(-1), confusion.sum(-2)
    precision, recall = ratio(hits, predicted), ratio(hits, actual)
    share = ratio(actual, actual.sum(-1, keepdims=True))

    def weighted(values: Matrix) -> Matrix:
        return np.asarray((values * share).sum(-1))

    def f_score(beta: float) -> Matrix:
        return ratio((1 + beta**2) * precision * recall, beta**2 * precision + recall)

    return {
        "accuracy": weighted(recall),
        "weighted_recall": weighted(recall),
        "weighted_precision": weighted(precision),
        "weighted_f0_5": weighted(f_score(0.5)),
        "weighted_f1": weighted(f_score(1)),
        "weighted_f2": weighted(f_score(2)),
    }


def deviations(confusion: Matrix) -> dict[str, float]:
    """Return each metric's standard deviation over test splits of this size.

    Accuracy is a share of independent rows, so its deviation is the binomial sqrt(p (1 - p) / n), and
    weighted recall is accuracy. The others' come from the bootstrap (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 6). The metrics know the rows by the confusion matrix
    alone, so drawing its cells from a multinomial is the same as drawing rows with replacement.
    """
    rows = confusion.sum()
    accuracy = float(np.trace(confusion) / rows)
    binomial = (accuracy * (1 - accuracy) / rows) ** 0.5
    draws = max(2, min(BOOTSTRAP_DRAWS, BOOTSTRAP_CELLS // confusion.size))
    random = np.random.default_rng(SEED)
    drawn = random.multinomial(int(rows), confusion.ravel() / rows, size=draws)
    values = metrics(drawn.reshape(draws, *confusion.shape).astype(np.float64))
    spread = {name: float(value.std(ddof=1)) for name, value in values.items()}
    return spread | {"accuracy": binomial, "weighted_recall": binomial}


def constant_classifier(confusion: Matrix) -> Matrix:
    """The confusion matrix of always answering the most frequent label."""
    actual = confusion.sum(-1)
    constant = np.zeros_like(confusion)
    constant[:, actual.argmax()] = actual
    return constant


def ratio(part: Matrix, whole: Matrix) -> Matrix:
    """Divide; nothing of nothing is 0."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)
