import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, fbeta_score, precision_score, recall_score

FOLDER = Path(__file__).parents[2] / "containers/processing"
LoadModule = Callable[[str | Path], ModuleType]
Records = list[dict[str, Any]]


class Job:
    def __init__(self, base: Path, quality: ModuleType) -> None:
        self.base, self.quality = base, quality

    def put(self, name: str, rows: Records) -> None:
        file = self.base / f"processing/input/{name}/{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def put_labels(self, actual: list[str], predicted: list[str]) -> None:
        keys = [f"test/{i}" for i in range(len(actual))]
        lengths = np.random.default_rng(0).permutation(len(keys)) + 1
        self.put("test", [{"id": k, "text": "x" * int(n)} for k, n in zip(keys, lengths, strict=True)])
        self.put("labels", [{"id": key, "label": label} for key, label in zip(keys, actual, strict=True)])
        answers = [
            {"id": key, "label": label, "probabilities": {label: 0.75}}
            for key, label in zip(keys, predicted, strict=True)
        ]
        self.put("predictions", answers[::-1])

    def run(self) -> None:
        self.quality.evaluate(self.base)

    def read(self, name: str) -> Any:
        return json.loads((self.base / "processing/output/quality" / name).read_text())

    def samples(self) -> Records:
        text = (self.base / "processing/output/quality/samples.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def job(tmp_path: Path, load_module: LoadModule) -> Job:
    return Job(tmp_path, load_module(FOLDER / "quality.py"))


def draw(labels: int, rows: int) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(labels)
    actual = random.integers(0, labels, rows) * random.integers(0, 2, rows)
    wrong = random.random(rows) < 0.3
    predicted = np.where(wrong, random.integers(0, labels, rows), actual)
    return [f"l{i}" for i in actual], [f"l{i}" for i in predicted]


@pytest.mark.parametrize("labels", [2, 3, 100])
def test_metrics_are_those_of_scikit_learn(job: Job, labels: int) -> None:
    actual, predicted = draw(labels, 1500)
    job.put_labels(actual, predicted)
    job.run()
    measured = job.read("statistics.json")["multiclass_classification_metrics"]
    more: dict[str, Any] = {"average": "weighted", "zero_division": 0}
    expected = {
        "accuracy": accuracy_score(actual, predicted),
        "weighted_precision": precision_score(actual, predicted, **more),
        "weighted_recall": recall_score(actual, predicted, **more),
        "weighted_f0_5": fbeta_score(actual, predicted, beta=0.5, **more),
        "weighted_f1": fbeta_score(actual, predicted, beta=1, **more),
        "weighted_f2": fbeta_score(actual, predicted, beta=2, **more),
    }
    assert {name: measured[name]["value"] for name in expected} == pytest.approx(expected)
    constant = [max(sorted(set(actual)), key=actual.count)] * len(actual)
    assert measured["weighted_f1_best_constant_classifier"]["value"] == pytest.approx(
        fbeta_score(actual, constant, beta=1, **more)
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
        "standard_deviation": pytest.approx((0.75 * 0.25 / 4) ** 0.5),
    }
    constraints = job.read("constraints.json")
    assert constraints["version"] == 0.0
    assert constraints["multiclass_classification_constraints"]["accuracy"] == {
        "threshold": 0.75,
        "comparison_operator": "LessThanThreshold",
    }


def test_deviations_are_those_of_other_test_splits(load_module: LoadModule) -> None:
    metrics = load_module(FOLDER / "metrics.py")
    confusion = np.array([[80.0, 15, 5], [20, 60, 20], [10, 5, 85]])
    random = np.random.default_rng(5)
    rows = np.repeat(np.arange(9), confusion.ravel().astype(int))
    values = [
        metrics.metrics(np.bincount(random.choice(rows, 300), minlength=9).reshape(3, 3).astype(float))
        for _ in range(2000)
    ]
    deviations = metrics.deviations(confusion)
    assert deviations == metrics.deviations(confusion)
    for name in ("accuracy", "weighted_f1", "weighted_precision"):
        assert deviations[name] == pytest.approx(np.std([value[name] for value in values]), rel=0.12)


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
    answers = [{"id": str(i), "label": label, "probabilities": {}} for i, label in enumerate(labels)]
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
            [ROW],
            [LABEL, {"id": "b", "label": "neg"}],
            [ANSWER],
            "labels without a prediction: 1, for example of 'b'",
        ),
        ([ROW], [LABEL], [ANSWER, ANSWER | {"id": "z"}], "predictions without a label: 1, for example 'z'"),
        (
            [ROW],
            [LABEL],
            [ANSWER, ANSWER],
            "predictions/predictions.jsonl, line 2: a second row with the id 'a'",
        ),
        ([ROW, ROW], [LABEL], [ANSWER], "test/test.jsonl, line 2: a second test row"),
        ([], [LABEL], [ANSWER], "labels without a test row: 1, for example of 'a'"),
        ([ROW, {"id": "b", "text": "t"}], [LABEL], [ANSWER], "test rows without a label: 1, for example 'b'"),
        ([ROW], [], [ANSWER], "there is no row in labels"),
        ([ROW], [LABEL], [{"id": "a"}], "predictions/predictions.jsonl, line 1: no 'label'"),
        (
            [ROW],
            [LABEL],
            [LABEL],
            "predictions/predictions.jsonl, line 1: the prediction has no probabilities",
        ),
    ],
)
def test_refuses_predictions_that_do_not_belong(
    job: Job, test: Records, labels: Records, predictions: Records, reason: str
) -> None:
    job.put("test", test)
    job.put("labels", labels)
    job.put("predictions", predictions)
    with pytest.raises(job.quality.QualityError) as caught:
        job.run()
    assert str(caught.value).startswith(reason)


def execute(base: Path) -> int:
    command = [sys.executable, str(FOLDER / "evaluate")]
    return subprocess.run(command, env=os.environ | {"SAGEMAKER_BASE_DIR": str(base)}, check=False).returncode


def test_executable_judges(job: Job) -> None:
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
        file.write('{"id": "\\ud83d", "label": "pos"}\n')
    assert execute(job.base) == 1
    message = json.loads((job.base / "output/message").read_text("utf-8"))
    assert message["error"] == "predictions without a label: 1, for example '\ud83d'"
