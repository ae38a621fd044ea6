import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from processing import errors
from processing.quality import significance
from tests.unit.containers.processing import references
from tests.unit.containers.processing.quality_job import FOLDER, Job, draw, draw_scores


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.mark.parametrize(
    ("better", "worse"), [(0, 0), (1, 0), (0, 1), (5, 5), (8, 2), (2, 8), (60, 40), (700, 612), (3000, 2000)]
)
def test_p_value_is_the_exact_binomials(better: int, worse: int) -> None:
    total = better + worse
    expected = references.binomtest(better, total, alternative="greater").pvalue if total else 1.0
    assert significance.mcnemar(better, worse) == pytest.approx(expected, rel=1e-8)


def test_p_value_by_hand() -> None:
    assert significance.mcnemar(3, 1) == pytest.approx((4 + 1) / 16)
    assert significance.mcnemar(10, 0) == pytest.approx(2**-10)


def test_p_value_of_many_rows_neither_fails_nor_leaves_its_bounds() -> None:
    assert 0 <= significance.mcnemar(25_000, 0) < 1e-300
    assert significance.mcnemar(0, 25_000) == pytest.approx(1.0)
    assert significance.mcnemar(12_600, 12_400) == pytest.approx(
        references.binomtest(12_600, 25_000, alternative="greater").pvalue, rel=1e-6
    )


def test_comparison_document(job: Job) -> None:
    actual = ["neg"] * 5 + ["pos"] * 5
    job.put_test(actual)
    job.put_answers("challenger", ["neg"] * 5 + ["pos"] * 4 + ["neg"])
    job.put_answers("champion", ["pos"] * 3 + ["neg"] * 2 + ["pos"] * 5)
    document = job.compare("retrain-7")
    assert document.pop("metrics").keys() == {
        "accuracy",
        "weighted_recall",
        "weighted_precision",
        "weighted_f0_5",
        "weighted_f1",
        "weighted_f2",
        "macro_f1",
        "auc",
    }
    assert document.pop("recalls") == [
        {"label": "neg", "rows": 5, "challenger": 1.0, "champion": 0.4, "loss_p_value": 1.0},
        {"label": "pos", "rows": 5, "challenger": 0.8, "champion": 1.0, "loss_p_value": 1.0},
    ]
    interval = document.pop("confidence_interval")
    assert interval["level"] == 0.95
    assert interval["low"] <= 0.2 <= interval["high"]
    assert document == {
        "metric": "accuracy",
        "rows": 10,
        "challenger": 0.9,
        "champion": 0.7,
        "difference": pytest.approx(0.2),
        "test": "McNemar exact, one-sided",
        "discordant": {"challenger_only_right": 3, "champion_only_right": 1},
        "p_value": pytest.approx(5 / 16),
        "champion_model": "retrain-7",
        "left_out": [],
    }


def test_metrics_of_both_models_are_scikit_learns(job: Job) -> None:
    labels = ["a", "b", "c"]
    actual, challenger = draw_scores(3, 600, seed=1)
    _, champion = draw_scores(3, 600, seed=2)
    job.put_test([labels[i] for i in actual])
    job.put_probabilities("challenger", labels, challenger)
    job.put_probabilities("champion", labels, champion)
    metrics = job.compare()["metrics"]
    for name, scores in (("challenger", challenger), ("champion", champion)):
        expected = references.f1_score(actual, scores.argmax(1), average="weighted")
        assert metrics["weighted_f1"][name] == pytest.approx(expected)
        expected = references.f1_score(actual, scores.argmax(1), average="macro")
        assert metrics["macro_f1"][name] == pytest.approx(expected)
        areas = [references.roc_auc_score(actual == i, scores[:, i]) for i in range(3)]
        assert metrics["weighted_auc"][name] == pytest.approx(np.mean(areas))
    for metric in metrics.values():
        assert metric["difference"] == pytest.approx(metric["challenger"] - metric["champion"])


def test_interval_is_that_of_resampled_pairs(job: Job) -> None:
    actual, challenger = draw(3, 800)
    champion = [label if i % 11 else "l0" for i, label in enumerate(challenger)]
    job.put_test(actual)
    job.put_answers("challenger", challenger)
    job.put_answers("champion", champion)
    document = job.compare()
    right = np.array([[a == b, a == c] for a, b, c in zip(actual, challenger, champion, strict=True)], float)
    random = np.random.default_rng(1)
    samples = [random.integers(0, 800, 800) for _ in range(2000)]
    drawn = [float(np.subtract(*right[sample].mean(axis=0))) for sample in samples]
    interval = document["confidence_interval"]
    assert [interval["low"], interval["high"]] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.004)


def test_same_answers_differ_by_nothing(job: Job) -> None:
    actual, predicted = draw(2, 200)
    job.put_test(actual)
    job.put_answers("challenger", predicted)
    job.put_answers("champion", predicted)
    document = job.compare()
    assert (document["difference"], document["p_value"]) == (0, 1)
    assert document["confidence_interval"] == {"level": 0.95, "low": 0, "high": 0}


def test_a_label_that_is_new_since_the_champion_is_not_compared(job: Job) -> None:
    actual = ["a", "b", "new", "new"] * 5
    job.put_test(actual)
    job.put_probabilities(
        "challenger", ["a", "b", "new"], [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], *[[0.1, 0.1, 0.8]] * 2] * 5
    )
    job.put_probabilities("champion", ["a", "b"], [[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.3, 0.7]] * 5)
    document = job.compare()
    assert (document["rows"], document["challenger"], document["champion"]) == (10, 0.5, 1)
    assert document["discordant"] == {"challenger_only_right": 0, "champion_only_right": 5}
    assert document["left_out"] == [{"label": "new", "rows": 10, "unknown_to": "champion"}]
    assert [recall["label"] for recall in document["recalls"]] == ["a", "b"]
    page = job.read_text("comparison/report.html")
    assert re.search("Left out: .*new.* \\(10 rows, unknown to champion\\)", page)
    assert "both models get 5 right and neither 0" in page


def test_a_label_that_is_gone_is_not_compared(job: Job) -> None:
    """The challenger has no training row of it; neg and pos it knows from its training rows."""
    job.put_test(["neg", "pos", "gone", "odd"] * 5)
    job.put_probabilities("challenger", ["neg"], [[1.0]] * 20)
    job.put_probabilities(
        "champion", ["neg", "pos", "gone"], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]] * 5
    )
    document = job.compare()
    assert (document["rows"], document["challenger"], document["champion"]) == (10, 0.5, 1)
    assert document["left_out"] == [
        {"label": "gone", "rows": 5, "unknown_to": "challenger"},
        {"label": "odd", "rows": 5, "unknown_to": "both"},
    ]


def test_probabilities_that_leave_labels_out_make_no_label_unknown(job: Job) -> None:
    job.put_test(["a", "b"] * 5)
    job.put_answers("challenger", ["a", "b"] * 5)
    job.put_answers("champion", ["a"] * 10)
    document = job.compare()
    assert (document["rows"], document["champion"], document["left_out"]) == (10, 0.5, [])


def test_models_without_a_common_label_cannot_be_compared(job: Job) -> None:
    job.put_test(["neg", "pos"])
    job.put_probabilities("challenger", ["neg", "pos"], [[1, 0], [0, 1]])
    job.put_probabilities("champion", ["0", "1"], [[1, 0], [0, 1]])
    with pytest.raises(errors.QualityError, match=r'no label .* in common.*"champion": "none"'):
        job.compare()


def test_new_rows_with_the_most_different_answers_are_reported(job: Job) -> None:
    labels = ["neg", "pos"]
    job.put_test(["neg"] * 40)
    rows = [
        {"id": f"test/{i}", "label": "neg", "source": "raw/new.csv" if i < 20 else "raw/old.csv"}
        for i in range(40)
    ]
    job.put("labels", rows)
    certain, unsure = [[0.1, 0.9]], [[0.45, 0.55]]
    job.put_probabilities("challenger", labels, unsure * 2 + certain + [[0.9, 0.1]] * 17 + certain * 20)
    job.put_probabilities("champion", labels, [[0.9, 0.1]] * 40)
    job.put_plan(["raw/new.csv"])
    job.compare()
    page = job.read_text("comparison/report.html")
    section = page[page.index("New rows on which") :]
    section = section[: section.index("</section>")]
    assert re.findall(r"test/\d+", section) == ["test/2", "test/0", "test/1"]
    assert "Of the 20 test rows" in section
    assert "raw/old.csv" not in section
    job.put_plan([])
    job.compare()
    assert "None, of no new test rows." in job.read_text("comparison/report.html")


def test_p_values_are_adjusted_as_by_hand() -> None:
    assert significance.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert significance.holm([0.9, 0.001]) == pytest.approx([0.9, 0.002])
    assert significance.holm([1.0, 1.0]) == [1.0, 1.0]
    assert significance.holm([]) == []


def test_a_lost_label_is_found_though_the_accuracy_gains(job: Job) -> None:
    """The rare label's recall falls from 1 to 0, and that of the frequent one rises by more rows."""
    actual = ["rare"] * 20 + ["usual"] * 380
    job.put_test(actual)
    job.put_answers("challenger", ["usual"] * 400)
    job.put_answers("champion", ["rare"] * 60 + ["usual"] * 340)
    document = job.compare()
    rare, usual = document["recalls"]
    assert document["difference"] > 0
    assert (rare["rows"], rare["challenger"], rare["champion"]) == (20, 0, 1)
    assert rare["loss_p_value"] == pytest.approx(2 * 2**-20)
    assert usual["loss_p_value"] == pytest.approx(1)
    assert document["metrics"]["macro_f1"]["loss_p_value"] < 0.05
    assert document["metrics"]["accuracy"]["loss_p_value"] > 0.95
    assert "Recall, champion" in job.read_text("comparison/report.html")


def test_equal_answers_are_no_loss(job: Job) -> None:
    actual, predicted = draw(3, 200)
    job.put_test(actual)
    for name in ("challenger", "champion"):
        job.put_answers(name, predicted)
    document = job.compare()
    assert {metric["loss_p_value"] for metric in document["metrics"].values()} == {1}
    assert {recall["loss_p_value"] for recall in document["recalls"]} == {1}


def test_one_label_has_no_auc(job: Job) -> None:
    job.put_test(["pos"] * 4)
    job.put_answers("challenger", ["pos"] * 4)
    job.put_answers("champion", ["pos"] * 3 + ["neg"])
    document = job.compare()
    assert "auc" not in document["metrics"]
    assert math.isfinite(document["confidence_interval"]["low"])


def test_every_row_needs_both_models_answers(job: Job) -> None:
    job.put_test(["pos", "neg"])
    job.put_answers("challenger", ["pos", "neg"])
    job.put_answers("champion", ["pos"])
    error = errors.QualityError
    with pytest.raises(error, match="labels without a prediction: 1, for example of 'test/1'"):
        job.compare()
    job.put_answers("champion", ["pos", "neg", "neg"])
    with pytest.raises(error, match="predictions without a label: 1, for example 'test/2'"):
        job.compare()


def test_executable_compares(job: Job) -> None:
    job.put_test(["pos", "neg"])
    job.put_answers("challenger", ["pos", "neg"])
    job.put_answers("champion", ["neg", "neg"])
    environment = os.environ | {"SAGEMAKER_BASE_DIR": str(job.base), "CHAMPION_MODEL_NAME": "retrain-3"}
    ended = subprocess.run(
        [sys.executable, str(FOLDER / "compare")], env=environment, check=True, capture_output=True, text=True
    )
    assert ended.stdout == "2 rows; challenger=1.0000; champion=0.5000; difference=+0.5000; p=0.5\n"
    document = json.loads(job.read_text("comparison/comparison.json"))
    assert document["champion_model"] == "retrain-3"
