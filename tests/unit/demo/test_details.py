"""The results of steps are read once from their outputs."""

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from demo.details import Details, Training
from demo.progress import search_note
from demo.stack import Clients

DOCUMENTS: dict[str, Any] = {
    "runs/one/ingest/algo-1.json": {"records": 1200},
    "runs/one/ingest/algo-2.json": {"records": 34},
    "runs/one/dataset/report/dataset.json": {
        "splits": {"train": {"rows": 22_500}, "validation": {"rows": 2500}, "test": {"rows": 25_000}}
    },
}
OUTPUTS = {"ingest": "s3://data/runs/one/ingest", "dataset": "s3://data/runs/one/dataset/report"}

HIT = {"SourcePipelineExecutionArn": "arn:aws:sagemaker:us-east-1:1:pipeline/p/execution/abc"}


class Account:
    """Fake S3 and SageMaker after a run; `calls` counts the reads of objects."""

    def __init__(self) -> None:
        self.s3 = self.sagemaker = self
        self.calls = 0
        self.metrics = [{"MetricName": "validation:accuracy", "Value": 0.91234}]

    def get_paginator(self, operation: str) -> SimpleNamespace:
        return SimpleNamespace(paginate=getattr(self, operation))

    def list_objects_v2(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": key}]} for key in DOCUMENTS if key.startswith(Prefix)]

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        self.calls += 1
        return {"Body": io.BytesIO(json.dumps(DOCUMENTS[Key]).encode())}

    def describe_processing_job(self, ProcessingJobName: str) -> dict[str, Any]:
        if ProcessingJobName not in OUTPUTS:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeProcessingJob")
        report = {"OutputName": "report", "S3Output": {"S3Uri": OUTPUTS[ProcessingJobName]}}
        return {"ProcessingOutputConfig": {"Outputs": [report]}}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        return {"FinalMetricDataList": self.metrics}

    def list_training_jobs_for_hyper_parameter_tuning_job(
        self, HyperParameterTuningJobName: str
    ) -> list[dict[str, Any]]:
        assert HyperParameterTuningJobName == "search"
        later = {
            "TrainingJobName": "search-2",
            "CreationTime": datetime(2026, 1, 2, tzinfo=UTC),
            "TrainingJobStatus": "InProgress",
        }
        first = {
            "TrainingJobName": "search-1",
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            "TrainingJobStatus": "Completed",
            "TunedHyperParameters": {"smoothing": "1.5"},
            "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "m", "Value": 0.9},
        }
        return [{"TrainingJobSummaries": [later]}, {"TrainingJobSummaries": [first]}]


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def details(account: Account) -> Details:
    return Details(cast(Clients, account))


def step(name: str, kind: str = "", job: str = "", status: str = "Succeeded", **more: Any) -> Any:
    metadata = {kind: {"Arn": f"arn:aws:sagemaker:us-east-1:1:job/{job}"}} if kind else {}
    return {"StepName": name, "StepStatus": status, "Metadata": metadata, **more}


@pytest.mark.parametrize(
    ("found", "note"),
    [
        (step("IngestRecords", "ProcessingJob", "ingest"), "1,234 records"),
        (step("IngestRecords", "ProcessingJob", "ingest", CacheHitResult=HIT), "1,234 records, cached"),
        (step("IngestRecords", "ProcessingJob", "ingest", status="Executing"), ""),
        (step("IngestRecords", "ProcessingJob", "secret"), ""),
        (step("IngestRecords"), ""),
        (step("CreateDataset", "ProcessingJob", "dataset"), "22,500 + 2,500 + 25,000 rows"),
        (step("CreateDataset", "ProcessingJob", "ingest"), ""),
        (step("TrainModel", "TrainingJob", "train"), "validation:accuracy 0.9123"),
        (step("ScoreTestSplit", "TransformJob", "score"), ""),
        (step("ScoreTestSplit", "TransformJob", "score", CacheHitResult=HIT), "cached"),
        (step("EvaluateQuality", "ProcessingJob", "evaluate", CacheHitResult={}), ""),
        (step("AboveFloor", Metadata={"Condition": {"Outcome": "False"}}), "no"),
        (step("AboveFloor", Metadata={"Condition": {}}), ""),
    ],
)
def test_the_note_of_a_step(details: Details, found: Any, note: str) -> None:
    assert details.note(found) == note


def test_a_training_without_an_objective_has_no_note(account: Account, details: Details) -> None:
    account.metrics = []
    assert details.note(step("TrainModel", "TrainingJob", "train")) == ""


def test_documents_are_read_once(account: Account, details: Details) -> None:
    for _ in range(3):
        details.note(step("IngestRecords", "ProcessingJob", "ingest"))
    assert account.calls == 2


def test_a_search_lists_its_trainings_in_the_order_of_their_start(details: Details) -> None:
    found = details.trainings(step("TuneModel", "TuningJob", "search"))
    assert found == [
        Training("search-1", "Completed", 0.9, {"smoothing": "1.5"}),
        Training("search-2", "InProgress", None, {}),
    ]
    assert search_note(found) == "1 of 2, best 0.9000"
    assert search_note(found[1:]) == "0 of 1"
    assert details.trainings(step("TrainModel", "TrainingJob", "train")) == []
