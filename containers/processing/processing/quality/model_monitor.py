"""Write model quality in Model Monitor's schema.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html
`weighted_auc` is not one of Model Monitor's metrics; it has the same shape and no constraint. What the schema
does not cover (intervals, slices, calibration, the test against the constant answer) is in details.json.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from processing.quality.assessment import Assessment
from processing.quality.bootstrap import LEVEL, Estimate
from processing.quality.curves import thin
from processing.quality.significance import TEST

VERSION = 0.0  # of Model Monitor's schema
OF_CONSTANT = ("recall", "precision", "accuracy", "f0_5", "f1", "f2")
ERROR_RATES = ("false_positive_rate", "false_negative_rate")


def statistics(assessment: Assessment) -> dict[str, Any]:
    """Return the content of statistics.json."""
    document = {
        "version": VERSION,
        "dataset": {
            "item_count": int(assessment.confusion.sum()),
            "evaluation_time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        },
        "multiclass_classification_metrics": multiclass(assessment),
    }
    if assessment.binary:
        document["binary_classification_metrics"] = binary(assessment)
    return document


def multiclass(assessment: Assessment) -> dict[str, Any]:
    """Return the metrics for any number of labels."""
    measured = {"confusion_matrix": confusion_matrix(assessment)}
    measured |= named(assessment.multiclass)
    if assessment.auc and not assessment.binary:
        measured |= named({"weighted_auc": assessment.auc})
    return measured | named(assessment.multiclass_constant, "_best_constant_classifier")


def binary(assessment: Assessment) -> dict[str, Any]:
    """Return the metrics for two labels, of which the last in alphabetical order is positive."""
    constant = {name: assessment.binary_constant[name] for name in OF_CONSTANT}
    measured = {"confusion_matrix": confusion_matrix(assessment)}
    measured |= named(assessment.binary) | named(constant, "_best_constant_classifier")
    for ranking in assessment.rankings.values():
        roc, precision_recall = thin(ranking.roc()), thin(ranking.precision_recall())
        measured["receiver_operating_characteristic_curve"] = {
            "false_positive_rates": roc.x.tolist(),
            "true_positive_rates": roc.y.tolist(),
        }
        measured["precision_recall_curve"] = {
            "precisions": precision_recall.y.tolist(),
            "recalls": precision_recall.x.tolist(),
        }
    return measured | (named({"auc": assessment.auc}) if assessment.auc else {})


def confusion_matrix(assessment: Assessment) -> dict[str, Any]:
    """Count rows by actual, then by predicted label."""
    labels = assessment.scores.labels
    return {
        actual: {predicted: int(rows) for predicted, rows in zip(labels, line, strict=True)}
        for actual, line in zip(labels, assessment.confusion, strict=True)
    }


def named(figures: Mapping[str, Estimate], suffix: str = "") -> dict[str, Any]:
    """Return metrics with their standard deviations."""
    return {
        name + suffix: {
            "value": figure.value,
            "standard_deviation": "NaN" if math.isnan(figure.deviation) else figure.deviation,
        }
        for name, figure in figures.items()
    }


def constraints(assessment: Assessment) -> dict[str, Any]:
    """Return the content of constraints.json: a monitoring schedule alarms when the model gets worse."""
    document = {
        "version": VERSION,
        "multiclass_classification_constraints": thresholds(assessment.multiclass),
    }
    if assessment.binary:
        auc = {"auc": assessment.auc} if assessment.auc else {}
        document["binary_classification_constraints"] = thresholds(assessment.binary | auc)
    return document


def thresholds(figures: Mapping[str, Estimate]) -> dict[str, Any]:
    """Return one constraint per metric."""
    return {
        name: {
            "threshold": figure.value,
            "comparison_operator": "GreaterThanThreshold" if name in ERROR_RATES else "LessThanThreshold",
        }
        for name, figure in figures.items()
    }


def details(assessment: Assessment, labels: Iterable[str]) -> dict[str, Any]:
    """Return the content of details.json.

    Args:
        assessment: the model's metrics.
        labels: every label of the dataset, also those without test rows.
    """
    names, rows = assessment.scores.labels, assessment.confusion.sum(1).astype(int).tolist()
    tested = {name: count for name, count in zip(names, rows, strict=True) if count}
    calibration = assessment.calibration
    figures = assessment.multiclass | ({"auc": assessment.auc} if assessment.auc else {})
    return {
        "confidence_intervals": {
            name: {"level": LEVEL, "value": figure.value, "low": figure.low, "high": figure.high}
            for name, figure in figures.items()
            if not math.isnan(figure.low)
        },
        "calibration": {
            "expected_calibration_error": calibration.expected_error,
            "brier_score": calibration.brier,
            "reliability_curve": {
                "rows": calibration.rows.astype(int).tolist(),
                "confidences": calibration.confidence.tolist(),
                "accuracies": calibration.accuracy.tolist(),
            },
        },
        "constant_classifier": asdict(assessment.constant) | {"test": TEST},
        "test_rows": {"rows": sum(rows), "labels": dict.fromkeys(sorted(labels), 0) | tested},
        "slices": [item._asdict() for item in assessment.slices],
    }
