import numpy as np
import pytest

from linear import calibration


def test_probabilities_are_as_sure_as_they_are_right() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 1))
    actual = (rng.random(4000) < 1 / (1 + np.exp(-3 * scores[:, 0]))).astype(np.int64)
    assert calibration.fit_scale(scores, actual) == pytest.approx(3, rel=0.1)
    three = np.hstack([scores, scores[::-1], np.zeros((4000, 1))])
    chances = np.cumsum(calibration.probabilities(three, 0.5), axis=1)
    drawn = (rng.random((4000, 1)) > chances).sum(axis=1)
    assert calibration.fit_scale(three, drawn) == pytest.approx(0.5, rel=0.1)
    few = calibration.fit_scale(scores[:3], (scores[:3, 0] > 0).astype(np.int64))
    assert few < 30
    half = calibration.held_out_probabilities(scores, actual)
    assert calibration.log_loss(half, actual) == pytest.approx(
        calibration.log_loss(calibration.probabilities(scores, 3.0), actual), abs=2e-3
    )
