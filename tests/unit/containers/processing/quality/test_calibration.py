import numpy as np
import pytest

from processing.quality import calibration, predictions
from tests.unit.containers.processing import references
from tests.unit.containers.processing.quality_job import draw_scores


def test_calibration_is_scikit_learns() -> None:
    actual, probabilities = draw_scores(2, 2000, digits=9)
    scores = predictions.Scores(["neg", "pos"], actual, probabilities.argmax(1), probabilities)
    measured = calibration.calibrate(scores)
    share, confidence = references.calibration_curve(scores.right, scores.confidence, n_bins=calibration.BINS)
    assert measured.accuracy == pytest.approx(share)
    assert measured.confidence == pytest.approx(confidence)
    assert measured.brier == pytest.approx(references.brier_score_loss(actual, probabilities[:, 1]))


def test_calibration_by_hand() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.8, 0.2, 0.0], [0.0, 0.0, 1.0]])
    scores = predictions.Scores(["a", "b", "c"], np.array([0, 1, 2]), np.array([0, 0, 2]), probabilities)
    measured = calibration.calibrate(scores)
    assert measured.rows.tolist() == [2, 1]
    assert measured.accuracy.tolist() == [0.5, 1.0]
    assert measured.expected_error == pytest.approx(2 / 3 * 0.3)
    assert measured.brier == pytest.approx((0.06 + (0.64 + 0.64) + 0) / 3)
