"""Measure all quality metrics of one model."""

from dataclasses import dataclass

import numpy as np

from processing.quality.bootstrap import Estimate, draw_confusions, draw_rows, estimate, estimates
from processing.quality.calibration import Calibration, calibrate
from processing.quality.curves import Ranking, rankings, weighted_auc
from processing.quality.metrics import binary_metrics, constant_classifier, multiclass_metrics
from processing.quality.predictions import Codes, Matrix, Scores
from processing.quality.significance import mcnemar
from processing.quality.slices import Slice, slices
from processing.quality.split import Split


@dataclass(frozen=True)
class Constant:
    """The best constant answer, against which the model is tested on the same rows."""

    label: str
    accuracy: float
    model_only_right: int
    constant_only_right: int
    p_value: float  # one-sided, that the model is better


@dataclass(frozen=True)
class Assessment:
    """The metrics of one model on the test split."""

    scores: Scores
    confusion: Matrix  # rows by (actual, predicted) label
    multiclass: dict[str, Estimate]
    multiclass_constant: dict[str, Estimate]  # always predicting the most frequent label
    binary: dict[str, Estimate]  # empty unless there are two labels
    binary_constant: dict[str, Estimate]  # always predicting the positive label
    rankings: dict[int, Ranking]  # by label; for two labels, the positive one's
    auc: Estimate | None  # for more than two labels, one-vs-rest, weighted; None without a ranking
    calibration: Calibration
    slices: list[Slice]
    constant: Constant


def assess(scores: Scores, split: Split, lengths: Codes) -> Assessment:
    """Measure a model."""
    confusion = scores.confusion()
    multiclass, multiclass_constant = assess_multiclass(confusion)
    binary, binary_constant = assess_binary(confusion) if scores.positive is not None else ({}, {})
    ranked = rankings(scores)
    return Assessment(
        scores,
        confusion,
        multiclass,
        multiclass_constant,
        binary,
        binary_constant,
        ranked,
        assess_ranking(ranked, scores.actual),
        calibrate(scores),
        slices(scores, split, lengths),
        compare_with_constant(scores),
    )


def compare_with_constant(scores: Scores) -> Constant:
    """Test whether the model is right more often than the label that is most frequent in these rows."""
    counts = np.bincount(scores.actual, minlength=len(scores.labels))
    place = int(counts.argmax())
    constant = scores.actual == place
    better, worse = int((scores.right & ~constant).sum()), int((constant & ~scores.right).sum())
    share = float(counts[place] / len(scores.actual))
    return Constant(scores.labels[place], share, better, worse, mcnemar(better, worse))


def assess_multiclass(confusion: Matrix) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Return the metrics of the model, and of the best constant prediction."""
    constant = constant_classifier(confusion)
    return (
        estimates(multiclass_metrics(confusion), multiclass_metrics(draw_confusions(confusion))),
        estimates(multiclass_metrics(constant), multiclass_metrics(draw_confusions(constant))),
    )


def assess_binary(confusion: Matrix) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Return the metrics of the model, and of always predicting the positive label.

    The positive label is the constant classifier of Model Monitor's own example; the other one has no recall.
    """
    positive = np.zeros_like(confusion)
    positive[:, 1] = confusion.sum(-1)
    return (
        estimates(binary_metrics(confusion), binary_metrics(draw_confusions(confusion))),
        estimates(binary_metrics(positive), binary_metrics(draw_confusions(positive))),
    )


def assess_ranking(ranked: dict[int, Ranking], actual: Codes) -> Estimate | None:
    """Return the AUC, bootstrapped over rows."""
    if not ranked:
        return None
    drawn = [weighted_auc(ranked, actual, sample) for sample in draw_rows(len(actual), len(ranked))]
    return estimate(weighted_auc(ranked, actual), np.array(drawn))
