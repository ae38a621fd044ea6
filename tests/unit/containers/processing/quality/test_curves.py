import numpy as np
import pytest

from processing.quality import curves
from tests.unit.containers.processing.quality_job import draw_scores


def test_long_curves_are_thinned() -> None:
    actual, probabilities = draw_scores(2, 20_000, digits=6)
    ranking = curves.Ranking(probabilities[:, 1], actual == 1)
    whole, thin = ranking.roc(), curves.thin(ranking.roc())
    assert len(whole.x) > 10_000
    assert len(thin.x) <= curves.CURVE_POINTS
    assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(thin.y, thin.x) == pytest.approx(ranking.auc(), abs=2e-4)
