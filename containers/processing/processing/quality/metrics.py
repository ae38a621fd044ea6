"""Compute classification metrics, with Model Monitor's names, from confusion matrices."""

import numpy as np

from processing.quality.predictions import Matrix


def multiclass_metrics(confusion: Matrix) -> dict[str, Matrix]:
    """Return each metric of a confusion matrix.

    Precision, recall and F-scores are averaged over labels, weighted by their share of actual rows; a
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

    return {
        "accuracy": weighted(recall),
        "weighted_recall": weighted(recall),
        "weighted_precision": weighted(precision),
        "weighted_f0_5": weighted(f_score(0.5, precision, recall)),
        "weighted_f1": weighted(f_score(1, precision, recall)),
        "weighted_f2": weighted(f_score(2, precision, recall)),
    }


def macro_f1(confusion: Matrix) -> Matrix:
    """Return the mean F1 over the labels that have actual rows, each with the same weight."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    actual, predicted = confusion.sum(-1), confusion.sum(-2)
    scores = f_score(1, ratio(hits, predicted), ratio(hits, actual))
    present = (actual > 0).astype(np.float64)
    return ratio((scores * present).sum(-1), present.sum(-1))


def binary_metrics(confusion: Matrix) -> dict[str, Matrix]:
    """Return each metric of a confusion matrix of shape (..., 2, 2), with the positive label second."""
    negatives, positives = confusion.sum(-1)[..., 0], confusion.sum(-1)[..., 1]
    true_positives, false_positives = confusion[..., 1, 1], confusion[..., 0, 1]
    recall = ratio(true_positives, positives)
    precision = ratio(true_positives, true_positives + false_positives)
    false_positive_rate = ratio(false_positives, negatives)
    hits = true_positives + confusion[..., 0, 0]
    return {
        "recall": recall,
        "precision": precision,
        "accuracy": ratio(hits, negatives + positives),
        "true_positive_rate": recall,
        "true_negative_rate": ratio(confusion[..., 0, 0], negatives),
        "false_positive_rate": false_positive_rate,
        "false_negative_rate": ratio(confusion[..., 1, 0], positives),
        "f0_5": f_score(0.5, precision, recall),
        "f1": f_score(1, precision, recall),
        "f2": f_score(2, precision, recall),
    }


def f_score(beta: float, precision: Matrix, recall: Matrix) -> Matrix:
    """Return the F-score, in which recall weighs beta times as much as precision."""
    return ratio((1 + beta**2) * precision * recall, beta**2 * precision + recall)


def constant_classifier(confusion: Matrix) -> Matrix:
    """Return the confusion matrix of always predicting the most frequent label."""
    actual = confusion.sum(-1)
    constant = np.zeros_like(confusion)
    constant[:, actual.argmax()] = actual
    return constant


def ratio(part: Matrix, whole: Matrix) -> Matrix:
    """Divide; 0 / 0 is 0."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)
