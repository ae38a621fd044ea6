import numpy as np
import pytest

from processing.quality import bootstrap, curves, metrics
from tests.unit.containers.processing import references
from tests.unit.containers.processing.quality_job import draw_scores


def test_deviations_and_intervals_are_those_of_other_test_splits() -> None:
    confusion = np.array([[80.0, 15, 5], [20, 60, 20], [10, 5, 85]])
    random = np.random.default_rng(5)
    rows = np.repeat(np.arange(9), confusion.ravel().astype(int))
    samples = np.array(
        [np.bincount(random.choice(rows, 300), minlength=9).reshape(3, 3).astype(float) for _ in range(2000)]
    )
    others = metrics.multiclass_metrics(samples)
    values, drawn = (
        metrics.multiclass_metrics(each) for each in (confusion, bootstrap.draw_confusions(confusion))
    )
    estimates = bootstrap.estimates(values, drawn)
    for name in ("accuracy", "weighted_f1", "weighted_precision"):
        estimate = estimates[name]
        assert estimate.deviation == pytest.approx(others[name].std(), rel=0.12)
        assert [estimate.low, estimate.high] == pytest.approx(
            np.quantile(others[name], [0.025, 0.975]), abs=0.01
        )


def test_auc_is_resampled_by_rows() -> None:
    actual, probabilities = draw_scores(3, 200)
    scores = probabilities[:, 1]
    ranking = curves.Ranking(scores, actual == 1)
    for sample, _ in zip(bootstrap.draw_rows(200, 1), range(20), strict=False):
        assert ranking.auc(sample) == pytest.approx(
            references.roc_auc_score(actual[sample] == 1, scores[sample])
        )
