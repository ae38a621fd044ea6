"""The printed results of a run."""

import io
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from demo import report
from demo.details import Training
from demo.history import State
from demo.predictions import Exchange, Prediction, Review
from demo.progress import Progress, Step
from demo.stack import Clients
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
    it.history.states["JudgeModel"] = State("JudgeModel", "Task", output={"evaluation": EVALUATION})
    it.history.states[end] = State(end, "Succeed")
    it.endpoints = {"retrain-realtime": "InService", "retrain-async": "none"}
    return it


def test_quality_shows_each_metric_and_the_summary(console: Console) -> None:
    report.print_quality(console, progress(), "")
    output = console.export_text()
    assert ["accuracy", "0.5124", ">=", "0.8", "fail"] in [line.split() for line in output.splitlines()]
    assert ["weighted_f1", "-", ">=", "0.8", "missing"] in [line.split() for line in output.splitlines()]
    assert "Rejected: accuracy 0.5124 is below 0.8" in output
    assert "SYNTHETIC" not in output


@pytest.mark.parametrize(
    ("keys", "mark"),
    [
        (["raw/mine.csv"], ""),
        (["raw/synthetic-sample.csv"], "SYNTHETIC data"),
        (["raw/aclImdb.csv.zst", "raw/synthetic-sample.csv"], "PARTLY SYNTHETIC data"),
    ],
)
def test_metrics_of_synthetic_data_are_marked(console: Console, keys: list[str], mark: str) -> None:
    report.print_quality(console, progress(), report.synthetic_mark(keys))
    assert report.synthetic_mark(keys).startswith(mark)
    assert mark in console.export_text().splitlines()[1]


def outcome_of(it: Progress, **data: Any) -> Progress:
    """Add the workflow's data as the output of its last state."""
    it.history.states["UpdateLedger"] = State("UpdateLedger", "Task", output=data)
    return it


def test_metrics_can_have_another_relation(console: Console) -> None:
    row = {"metric": "p_value", "value": 0.2134, "relation": "<=", "bound": 0.05, "verdict": "fail"}
    it = outcome_of(progress(), evaluation={**EVALUATION, "table": [row]})
    report.print_quality(console, it, "")
    assert ["p_value", "0.2134", "<=", "0.05", "fail"] in [
        line.split() for line in console.export_text().splitlines()
    ]


def test_the_quarantine_s_location_is_printed(console: Console) -> None:
    summary = "Of 1 new file, 9 rows were ingested. Quarantined: 1 row, see s3://bucket/quarantine/one"
    report.print_data(console, outcome_of(progress(), ledger={"quarantinedRows": 1, "summary": summary}))
    assert summary in console.export_text()


def test_without_ingestion_no_data_section_is_printed(console: Console) -> None:
    report.print_data(console, outcome_of(progress(), ledger={"summary": ""}))
    assert console.export_text() == ""


def test_a_search_is_printed_as_a_table_of_trainings(console: Console) -> None:
    it = progress()
    it.trainings = [
        Training("s-1", "Completed", 0.91234, {"inverse_regularization": "12.345678", "min_documents": "2"}),
        Training("s-2", "Stopped", None, {"inverse_regularization": "3", "min_documents": "5"}),
    ]
    report.print_trainings(console, it)
    rows = [line.split() for line in console.export_text().splitlines()]
    assert ["status", "validation:accuracy", "inverse_regularization", "min_documents"] in rows
    assert ["1", "Completed", "0.9123", "12.35", "2"] in rows
    assert ["2", "Stopped", "-", "3", "5"] in rows


class Bucket:
    """A bucket with one report, or none."""

    def __init__(self, body: bytes | None) -> None:
        self.s3, self.body = self, body

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        assert (Bucket, Key) == ("bucket", "runs/one/quality/report.html")
        if self.body is None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")
        return {"Body": io.BytesIO(self.body)}


REPORT = "s3://bucket/runs/one/quality/report.html"


@pytest.mark.parametrize(
    "data",
    [
        {"evaluation": {**EVALUATION, "reportUri": REPORT}},
        {"outcome": {"status": "REJECTED", "cause": f"below the floor of 0.6. See {REPORT}"}},
    ],
)
def test_the_report_is_downloaded(console: Console, tmp_path: Path, data: dict[str, Any]) -> None:
    it, clients = outcome_of(progress(), **data), cast(Clients, Bucket(b"<html>"))
    found = report.print_report(console, clients, it, tmp_path / "reports")
    assert found == tmp_path / "reports/one.html"
    assert found.read_bytes() == b"<html>"
    assert "reports/one.html" in console.export_text().replace("\n", "")


def test_the_uri_of_an_unreadable_report_is_printed(console: Console, tmp_path: Path) -> None:
    it = outcome_of(progress(), evaluation={"reportUri": REPORT})
    assert report.print_report(console, cast(Clients, Bucket(None)), it, tmp_path) is None
    assert f"aws s3 cp {REPORT} ." in console.export_text()
    assert report.print_report(console, cast(Clients, Bucket(None)), progress(), tmp_path) is None


def test_the_cost_is_printed_line_by_line(console: Console) -> None:
    report.print_cost(
        console, outcome_of(progress(), cost={"total": 0.1, "text": "about 0.1 USD\nendpoints"})
    )
    assert console.export_text() == "\nCost\n  about 0.1 USD\n  endpoints\n"


def test_the_reason_of_a_rejection_by_the_pipeline_is_printed(console: Console) -> None:
    it = Progress("arn:aws:states:us-east-1:1:execution:retrain:one", "SUCCEEDED")
    it.history.states["Rejected"] = State("Rejected", "Succeed")
    outcome_of(it, outcome={"status": "REJECTED", "cause": "below the floor of 0.6"})
    report.print_verdict(console, Finding(it))
    assert "below the floor of 0.6" in console.export_text()


def test_a_champion_that_stays_live_is_reported_with_faults(console: Console) -> None:
    table = [
        {"metric": "accuracy", "value": 0.91, "relation": ">=", "bound": 0.8, "verdict": "pass"},
        {"metric": "improvement", "value": 0.0, "relation": ">=", "bound": 0.001, "verdict": "fail"},
        {"metric": "p_value", "value": 0.5, "relation": "<=", "bound": 0.05, "verdict": "fail"},
    ]
    it = outcome_of(progress(), evaluation={**EVALUATION, "table": table})
    prediction = Prediction("pos", 0.9)
    report.print_verdict(console, Finding(it, (Exchange(Review("lovely"), prediction, prediction),)))
    output = console.export_text()
    assert "not better than the live one, which stays live" in output
    assert "retrain-async is none, not InService." in output


def test_a_rejection_names_the_live_endpoints(console: Console) -> None:
    report.print_verdict(console, Finding(progress()))
    assert "The previous model stays live: retrain-realtime." in console.export_text()


def test_a_failure_names_the_step_and_escapes_brackets(console: Console) -> None:
    it = progress("FAILED", "Failed")
    it.error, it.cause = "TrainModel.Failed", "Pipeline step TrainModel failed."
    reason = "AlgorithmError: [exit 137] out of memory"
    it.steps = [Step("TrainModel", "Training", "Failed", None, None, reason)]
    report.print_failure(console, it)
    output = console.export_text()
    assert "TrainModel.Failed" in output
    assert f"Step TrainModel: {reason}" in output
