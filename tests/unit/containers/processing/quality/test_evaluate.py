import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processing import errors
from tests.unit.containers.processing import references
from tests.unit.containers.processing.quality_job import DATASET, FOLDER, Job, Records, draw, draw_scores


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture
def refused(job: Job) -> type[Exception]:
    error: type[Exception] = errors.QualityError
    return error


@pytest.mark.parametrize("labels", [2, 3, 100])
def test_metrics_are_those_of_scikit_learn(job: Job, labels: int) -> None:
    actual, predicted = draw(labels, 1500)
    job.put_labels(actual, predicted)
    job.run()
    measured = job.read("statistics.json")["multiclass_classification_metrics"]
    more: dict[str, Any] = {"average": "weighted", "zero_division": 0}
    expected = {
        "accuracy": references.accuracy_score(actual, predicted),
        "weighted_precision": references.precision_score(actual, predicted, **more),
        "weighted_recall": references.recall_score(actual, predicted, **more),
        "weighted_f0_5": references.fbeta_score(actual, predicted, beta=0.5, **more),
        "weighted_f1": references.fbeta_score(actual, predicted, beta=1, **more),
        "weighted_f2": references.fbeta_score(actual, predicted, beta=2, **more),
    }
    assert {name: measured[name]["value"] for name in expected} == pytest.approx(expected)
    constant = [max(sorted(set(actual)), key=actual.count)] * len(actual)
    assert measured["weighted_f1_best_constant_classifier"]["value"] == pytest.approx(
        references.fbeta_score(actual, constant, beta=1, **more)
    )


def test_statistics_speak_model_monitors_schema(job: Job) -> None:
    job.put_labels(["pos", "pos", "neg", "neg"], ["pos", "neg", "neg", "neg"])
    job.run()
    statistics = job.read("statistics.json")
    assert statistics["version"] == 0.0
    assert statistics["dataset"]["item_count"] == 4
    assert statistics["dataset"]["evaluation_time"].endswith("Z")
    measured = statistics["multiclass_classification_metrics"]
    assert measured["confusion_matrix"] == {"neg": {"neg": 2, "pos": 0}, "pos": {"neg": 1, "pos": 1}}
    assert measured["accuracy"] == {
        "value": 0.75,
        "standard_deviation": pytest.approx((0.75 * 0.25 / 4) ** 0.5, rel=0.1),
    }
    constraints = job.read("constraints.json")
    assert constraints["version"] == 0.0
    assert constraints["multiclass_classification_constraints"]["accuracy"] == {
        "threshold": 0.75,
        "comparison_operator": "LessThanThreshold",
    }


def test_two_labels_have_model_monitors_binary_metrics(job: Job) -> None:
    """The figures of Model Monitor's own example."""
    job.put_labels(["0", "0", "0", "1"], ["0", "1", "1", "1"])
    job.run()
    measured = job.read("statistics.json")["binary_classification_metrics"]
    assert measured["confusion_matrix"] == {"0": {"0": 1, "1": 2}, "1": {"0": 0, "1": 1}}
    expected = {
        "recall": 1.0,
        "precision": 1 / 3,
        "accuracy": 0.5,
        "recall_best_constant_classifier": 1.0,
        "precision_best_constant_classifier": 0.25,
        "accuracy_best_constant_classifier": 0.25,
        "true_positive_rate": 1.0,
        "true_negative_rate": 1 / 3,
        "false_positive_rate": 2 / 3,
        "false_negative_rate": 0.0,
        "f0_5": 0.3846153846153846,
        "f1": 0.5,
        "f2": 0.7142857142857143,
        "f0_5_best_constant_classifier": 0.29411764705882354,
        "f1_best_constant_classifier": 0.4,
        "f2_best_constant_classifier": 0.625,
    }
    assert {name: measured[name]["value"] for name in expected} == pytest.approx(expected)
    assert {name for name in measured if name not in expected} == {
        "confusion_matrix",
        "receiver_operating_characteristic_curve",
        "precision_recall_curve",
        "auc",
    }
    constraints = job.read("constraints.json")["binary_classification_constraints"]
    assert constraints["false_positive_rate"] == {
        "threshold": pytest.approx(2 / 3),
        "comparison_operator": "GreaterThanThreshold",
    }
    assert constraints["auc"]["comparison_operator"] == "LessThanThreshold"


def test_two_labels_have_curves(job: Job) -> None:
    actual, probabilities = draw_scores(2, 3000)
    labels = ["neg", "pos"]
    job.put_test([labels[i] for i in actual])
    job.put_probabilities("predictions", labels, probabilities)
    job.run()
    measured = job.read("statistics.json")["binary_classification_metrics"]
    scores = probabilities[:, 1]
    assert measured["auc"]["value"] == pytest.approx(references.roc_auc_score(actual, scores))
    roc = measured["receiver_operating_characteristic_curve"]
    false, true, _ = references.roc_curve(actual, scores, drop_intermediate=False)
    assert roc["false_positive_rates"] == pytest.approx(false)
    assert roc["true_positive_rates"] == pytest.approx(true)
    curve = measured["precision_recall_curve"]
    assert (curve["recalls"][0], curve["precisions"][0]) == (0.0, 1.0)
    area = np.diff(curve["recalls"]) @ curve["precisions"][1:]
    assert area == pytest.approx(references.average_precision_score(actual, scores))
    interval = job.read("details.json")["confidence_intervals"]["auc"]
    assert interval["low"] < measured["auc"]["value"] < interval["high"]


def test_more_labels_have_a_weighted_auc(job: Job) -> None:
    actual, probabilities = draw_scores(4, 1000)
    labels = ["a", "b", "c", "d"]
    job.put_test([labels[i] for i in actual])
    job.put_probabilities("predictions", labels, probabilities)
    job.run()
    statistics, constraints = job.read("statistics.json"), job.read("constraints.json")
    expected = [references.roc_auc_score(actual == i, probabilities[:, i]) for i in range(4)]
    weights = np.bincount(actual) / len(actual)
    measured = statistics["multiclass_classification_metrics"]["weighted_auc"]
    assert measured["value"] == pytest.approx(weights @ expected)
    assert "binary_classification_metrics" not in statistics
    assert "weighted_auc" not in constraints["multiclass_classification_constraints"]


def test_a_test_split_of_one_label_has_no_auc(job: Job) -> None:
    job.put_test(["pos"] * 5)
    job.put_probabilities("predictions", ["neg", "pos"], [[0.2, 0.8]] * 4 + [[0.9, 0.1]])
    job.run()
    statistics = job.read("statistics.json")
    assert statistics["multiclass_classification_metrics"]["accuracy"]["value"] == 0.8
    assert "auc" not in statistics["binary_classification_metrics"]
    assert "NaN" not in job.read_text("quality/statistics.json")


def test_the_same_rows_give_the_same_figures(job: Job) -> None:
    job.put_labels(*draw(2, 300))
    job.run()
    first = job.read_text("quality/details.json"), job.read_text("quality/report.html")
    job.run()
    assert (job.read_text("quality/details.json"), job.read_text("quality/report.html")) == first


def test_slices_are_parts_of_the_rows(job: Job) -> None:
    actual = ["neg"] * 6 + ["pos"] * 2
    job.put("test", [{"id": str(i), "text": "x" * n} for i, n in enumerate([1, 1, 2, 3, 4, 5, 6, 6])])
    sources = ["raw/a", "raw/b", "raw/b", "raw/b", "raw/b", "raw/b", None, ""]
    rows = zip(actual, sources, strict=True)
    job.put(
        "labels", [{"id": str(i), "label": label, "source": file} for i, (label, file) in enumerate(rows)]
    )
    answers = ["neg"] * 5 + ["pos"] * 2 + ["neg"]
    job.put(
        "predictions",
        [{"id": str(i), "label": label, "probabilities": {label: 0.9}} for i, label in enumerate(answers)],
    )
    job.run()
    slices = {(item["by"], item["name"]): item for item in job.read("details.json")["slices"]}
    counts = {key: (item["rows"], item["accuracy"]) for key, item in slices.items()}
    assert counts == {
        ("text length", "1 to 1 characters"): (2, 1.0),
        ("text length", "2 to 3 characters"): (2, 1.0),
        ("text length", "4 to 5 characters"): (2, 0.5),
        ("text length", "6 to 6 characters"): (2, 0.5),
        ("source", "raw/b"): (5, 0.8),
        ("source", "(no source)"): (2, 0.5),
        ("source", "raw/a"): (1, 1.0),
        ("label", "neg"): (6, pytest.approx(5 / 6)),
        ("label", "pos"): (2, 0.5),
    }
    expected = references.binomtest(4, 5).proportion_ci(method="wilson")
    item = slices["source", "raw/b"]
    assert (item["low"], item["high"]) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_perfect_and_hopeless_answers_are_fine(job: Job) -> None:
    job.put_labels(["pos", "neg"], ["pos", "neg"])
    job.run()
    assert job.read("statistics.json")["multiclass_classification_metrics"]["weighted_f1"] == {
        "value": 1.0,
        "standard_deviation": 0.0,
    }
    job.put_labels(["pos", "neg"], ["neg", "other"])
    job.run()
    assert job.read("statistics.json")["multiclass_classification_metrics"]["weighted_f1"]["value"] == 0


def test_samples_are_the_shortest_texts_of_each_label(job: Job) -> None:
    actual, predicted = draw(2, 300)
    job.put_labels(actual, predicted)
    job.run()
    samples = job.samples()
    assert [sample["actual"] for sample in samples] == ["l0", "l1", "l0", "l1"]
    rows = {f"test/{i}": label for i, label in enumerate(predicted)}
    lengths = np.random.default_rng(0).permutation(300) + 1
    shortest = min(int(lengths[i]) for i, label in enumerate(actual) if label == "l1")
    assert len(samples[1]["text"]) == shortest
    for sample in samples:
        assert sample["label"] == rows[sample["id"]]
        assert sample["probabilities"] == {sample["label"]: 0.75}


def test_a_long_text_is_a_sample_only_if_all_are_long(job: Job) -> None:
    labels = ["neg", "neg", "pos", "pos"]
    answers = [{"id": str(i), "label": label, "probabilities": {label: 1}} for i, label in enumerate(labels)]
    job.put("labels", answers)
    job.put("predictions", answers)
    job.put("test", [{"id": str(i), "text": "x" * n} for i, n in enumerate([2000, 2001, 9000, 8000])])
    job.run()
    assert [sample["id"] for sample in job.samples()] == ["0"]
    job.put("test", [{"id": str(i), "text": "x" * n} for i, n in enumerate([3000, 2001, 9000, 8000])])
    job.run()
    assert [sample["id"] for sample in job.samples()] == ["1", "3", "0", "2"]


ROW = {"id": "a", "text": "t"}
LABEL = {"id": "a", "label": "pos"}
ANSWER = LABEL | {"probabilities": {"pos": 1.0}}


@pytest.mark.parametrize(
    ("test", "labels", "predictions", "reason"),
    [
        (
            [ROW, ROW | {"id": "b"}],
            [LABEL, {"id": "b", "label": "neg"}],
            [ANSWER],
            "labels without a prediction: 1, for example of 'b'",
        ),
        ([ROW], [LABEL], [ANSWER, ANSWER | {"id": "z"}], "predictions without a label: 1, for example 'z'"),
        ([ROW], [LABEL], [], "labels without a prediction: 1, for example of 'a'"),
        (
            [ROW],
            [LABEL],
            [ANSWER, ANSWER],
            "predictions/predictions.jsonl, line 2: a second row with the id 'a'",
        ),
        ([ROW, ROW], [LABEL], [ANSWER], "test/test.jsonl, line 2: a second test row"),
        ([], [LABEL], [ANSWER], "labels without a test row: 1, for example of 'a'"),
        ([ROW, {"id": "b", "text": "t"}], [LABEL], [ANSWER], "test rows without a label: 1, for example 'b'"),
        ([ROW], [], [ANSWER], "labels has no rows"),
        ([ROW], [LABEL, LABEL], [ANSWER], "labels/labels.jsonl, line 2: a second row with the id 'a'"),
        ([ROW], [LABEL | {"source": 3}], [ANSWER], "labels/labels.jsonl, line 1: 'source' is not a string"),
        ([ROW], [LABEL], [{"id": "a"}], "predictions/predictions.jsonl, line 1: no 'label'"),
        ([ROW], [LABEL], [{"id": 1, "label": "pos"}], "predictions/predictions.jsonl, line 1: no 'id'"),
        (
            [ROW],
            [LABEL],
            [LABEL],
            "predictions/predictions.jsonl, line 1: the prediction has no probabilities",
        ),
        (
            [ROW],
            [LABEL],
            [LABEL | {"probabilities": {"neg": 1.0}}],
            "predictions/predictions.jsonl, line 1: the prediction has no probability of its label 'pos'",
        ),
        (
            [ROW],
            [LABEL],
            [LABEL | {"probabilities": {f"l{i}": 0 for i in range(1000)} | {"pos": 1}}],
            "predictions/predictions.jsonl, line 1: the predictions have more than 1,000 labels",
        ),
    ],
)
def test_refuses_predictions_that_do_not_belong(
    job: Job, refused: type[Exception], test: Records, labels: Records, predictions: Records, reason: str
) -> None:
    job.put("test", test)
    job.put("labels", labels)
    job.put("predictions", predictions)
    with pytest.raises(refused) as caught:
        job.run()
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.5, "0.5", None, True, [1], 10**400])
def test_refuses_invalid_probabilities(job: Job, refused: type[Exception], value: object) -> None:
    job.put("test", [ROW])
    job.put("labels", [LABEL])
    job.put("predictions", [LABEL | {"probabilities": {"pos": value, "neg": 0.5}}])
    with pytest.raises(refused, match="the probability of 'pos' is"):
        job.run()


@pytest.mark.parametrize("line", [b"[1]", b"{", b'{"id": "a"', b'\xff{"id": "a"}', b"[" * 100_000, b"nan"])
def test_refuses_malformed_lines(job: Job, refused: type[Exception], line: bytes) -> None:
    job.put_labels(["pos"], ["pos"])
    (job.base / "processing/input/predictions/predictions.jsonl").write_bytes(b"\n" + line + b"\n")
    with pytest.raises(refused, match=r"^predictions/predictions.jsonl, line 2: not "):
        job.run()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "dataset/dataset.json: not JSON"),
        ("[]", "dataset/dataset.json is not as create_dataset writes it"),
        (DATASET | {"splits": {"test": 3}}, "dataset/dataset.json is not as create_dataset writes it"),
        ({"asOf": "now"}, "dataset/dataset.json is not as create_dataset writes it: KeyError: 'query'"),
    ],
)
def test_refuses_a_dataset_report_of_another_kind(
    job: Job, refused: type[Exception], content: object, reason: str
) -> None:
    job.put_labels(["pos"], ["pos"])
    job.put_dataset(content)
    with pytest.raises(refused) as caught:
        job.run()
    assert str(caught.value).startswith(reason)


def test_refuses_a_missing_dataset_report(job: Job, refused: type[Exception]) -> None:
    job.put_labels(["pos"], ["pos"])
    (job.base / "processing/input/dataset/dataset.json").unlink()
    with pytest.raises(refused, match="is it an input of the job"):
        job.run()


def execute(base: Path) -> int:
    command = [sys.executable, str(FOLDER / "evaluate")]
    return subprocess.run(command, env=os.environ | {"SAGEMAKER_BASE_DIR": str(base)}, check=False).returncode


def test_executable_evaluates(job: Job) -> None:
    job.put_labels(["pos", "neg"], ["pos", "neg"])
    assert execute(job.base) == 0
    assert job.read("statistics.json")["dataset"]["item_count"] == 2


def test_executable_leaves_the_exit_message(job: Job) -> None:
    job.put_labels(["pos", "neg"], ["pos", "neg"])
    predictions = job.base / "processing/input/predictions/predictions.jsonl"
    predictions.write_text("no JSON\n")
    assert execute(job.base) == 1
    message = json.loads((job.base / "output/message").read_text())
    assert message["error"].startswith("predictions/predictions.jsonl, line 1: not JSON")


def test_executable_leaves_the_exit_message_even_if_an_id_is_half_a_character(job: Job) -> None:
    job.put_labels(["pos", "neg"], ["pos", "neg"])
    predictions = job.base / "processing/input/predictions/predictions.jsonl"
    with predictions.open("a") as file:
        file.write('{"id": "\\ud83d", "label": "pos", "probabilities": {"pos": 1}}\n')
    assert execute(job.base) == 1
    message = json.loads((job.base / "output/message").read_text("utf-8"))
    assert message["error"] == "predictions without a label: 1, for example '\ud83d'"


def test_the_constant_answer_is_tested_on_the_same_rows(job: Job) -> None:
    actual = ["neg"] * 60 + ["pos"] * 40
    job.put_labels(actual, ["neg"] * 58 + ["pos"] * 2 + ["pos"] * 30 + ["neg"] * 10)
    job.run()
    assert job.read("details.json")["constant_classifier"] == {
        "label": "neg",
        "accuracy": 0.6,
        "model_only_right": 30,
        "constant_only_right": 2,
        "p_value": pytest.approx(references.binomtest(30, 32, alternative="greater").pvalue),
        "test": "McNemar exact, one-sided",
    }


def test_a_model_that_never_predicts_the_rare_label_is_no_better_than_the_constant(job: Job) -> None:
    job.put_labels(["neg"] * 950 + ["pos"] * 50, ["neg"] * 1000)
    job.run()
    assert job.read("details.json")["constant_classifier"]["p_value"] == 1


def test_labels_without_test_rows_are_counted(job: Job) -> None:
    job.put_labels(["pos"] * 3, ["pos"] * 3)
    job.run()
    assert job.read("details.json")["test_rows"] == {"rows": 3, "labels": {"neg": 0, "pos": 3}}
