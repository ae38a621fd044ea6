"""What is printed of a run's metrics, failure and answers."""

import pytest
from rich.console import Console

from demo import report
from demo.history import State
from demo.progress import Progress, Step
from demo.verdict import Finding

EVALUATION = {
    "approved": False,
    "modelPackageArn": "arn:aws:sagemaker:us-east-1:1:model-package/retrain-models/3",
    "table": [
        {"metric": "accuracy", "value": 0.51239, "bound": 0.8, "verdict": "fail"},
        {"metric": "weighted_f1", "value": None, "bound": 0.8, "verdict": "missing"},
    ],
    "summary": "Rejected: accuracy 0.5124 is below 0.8 and weighted_f1 is missing.",
}


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=100, force_terminal=False)


def progress(status: str = "SUCCEEDED", end: str = "Rejected") -> Progress:
    it = Progress("arn:aws:states:us-east-1:1:execution:retrain:one", status)
    it.history.states["EvaluateModel"] = State("EvaluateModel", "Task", output={"evaluation": EVALUATION})
    it.history.states[end] = State(end, "Succeed")
    it.endpoints = {"retrain-realtime": "InService", "retrain-async": "none"}
    return it


def test_quality_shows_each_metric_and_why(console: Console) -> None:
    report.print_quality(console, progress(), "")
    said = console.export_text()
    assert ["accuracy", "0.5124", ">=", "0.8", "fail"] in [line.split() for line in said.splitlines()]
    assert ["weighted_f1", "-", ">=", "0.8", "missing"] in [line.split() for line in said.splitlines()]
    assert "Rejected: accuracy 0.5124 is below 0.8" in said
    assert "SYNTHETIC" not in said


@pytest.mark.parametrize(
    ("keys", "mark"),
    [
        (["raw/mine.csv"], ""),
        (["raw/synthetic-sample.csv"], "SYNTHETIC data"),
        (["raw/aclImdb.csv.zst", "raw/synthetic-sample.csv"], "PARTLY SYNTHETIC data"),
    ],
)
def test_synthetic_data_is_marked_where_metrics_show(console: Console, keys: list[str], mark: str) -> None:
    report.print_quality(console, progress(), report.synthetic_mark(keys))
    assert report.synthetic_mark(keys).startswith(mark)
    assert mark in console.export_text().splitlines()[1]


def test_rejection_says_what_stays_live(console: Console) -> None:
    report.print_verdict(console, Finding(progress()))
    assert "What was live stays live: retrain-realtime." in console.export_text()


def test_failure_names_the_step_and_keeps_brackets(console: Console) -> None:
    it = progress("FAILED", "Failed")
    it.error, it.cause = "TrainModel.Failed", "Pipeline step TrainModel failed."
    reason = "AlgorithmError: [exit 137] out of memory"
    it.steps = [Step("TrainModel", "Training", "Failed", None, None, reason)]
    report.print_failure(console, it)
    said = console.export_text()
    assert "TrainModel.Failed" in said
    assert f"Step TrainModel: {reason}" in said
