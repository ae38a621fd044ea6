import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.session import Session
from moto import mock_aws
from pydantic import ValidationError

from estimate_cost import app
from estimate_cost.costs import read_prices

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EXECUTION = "arn:aws:sagemaker:us-east-1:111122223333:pipeline/retrain-tuning/execution/abcdefghijkl"
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = "<main><h1>Report</h1><!-- cost --><p>between</p><!-- latency --></main>"
CONTEXT: Any = SimpleNamespace(
    function_name="estimate_cost", memory_limit_in_mb=128, invoked_function_arn="arn:fn", aws_request_id="1"
)


class SageMaker:
    """An execution: what a test says that its steps ran."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.searches: dict[str, list[str]] = {}

    def add(self, name: str, kind: str, **job: Any) -> None:
        """A step that ran one job, named like it."""
        self.steps.append({"StepName": name, "Metadata": {kind: {"Arn": f"arn:aws:sagemaker:job/{name}"}}})
        self.jobs[name] = job

    def process(self, name: str, seconds: float, outputs: tuple[str, ...] = (), **cluster: Any) -> None:
        found = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30} | cluster
        uris = [{"OutputName": each, "S3Output": {"S3Uri": f"s3://data/runs/one/{each}"}} for each in outputs]
        self.add(
            name,
            "ProcessingJob",
            ProcessingResources={"ClusterConfig": found},
            ProcessingOutputConfig={"Outputs": uris},
            ProcessingStartTime=START,
            ProcessingEndTime=START + timedelta(seconds=seconds),
        )

    def transform(self, name: str, seconds: float) -> None:
        self.add(
            name,
            "TransformJob",
            TransformResources={"InstanceCount": 1, "InstanceType": "ml.m5.large"},
            TransformStartTime=START,
            TransformEndTime=START + timedelta(seconds=seconds),
        )

    def train(self, name: str, **more: Any) -> None:
        resources = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
        self.add(name, "TrainingJob", ResourceConfig=resources, **more)

    def search(self, name: str, seconds: list[float]) -> None:
        names = [f"{name}-{number}" for number in range(len(seconds))]
        for each, took in zip(names, seconds, strict=True):
            self.train(each, BillableTimeInSeconds=took)
            self.steps.pop()
        self.steps.append({"StepName": name, "Metadata": {"TuningJob": {"Arn": f"arn:tuning-job/{name}"}}})
        self.searches[name] = names

    def get_paginator(self, operation: str) -> SimpleNamespace:
        return SimpleNamespace(paginate=getattr(self, operation))

    def list_pipeline_execution_steps(
        self, PipelineExecutionArn: str, SortOrder: str
    ) -> Iterator[dict[str, Any]]:
        assert (PipelineExecutionArn, SortOrder) == (EXECUTION, "Ascending")
        for step in self.steps:
            yield {"PipelineExecutionSteps": [step]}

    def list_training_jobs_for_hyper_parameter_tuning_job(
        self, HyperParameterTuningJobName: str
    ) -> Iterator[dict[str, Any]]:
        for name in self.searches[HyperParameterTuningJobName]:
            yield {"TrainingJobSummaries": [{"TrainingJobName": name}]}

    def describe_processing_job(self, ProcessingJobName: str) -> dict[str, Any]:
        return self.jobs[ProcessingJobName]

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        return self.jobs[TrainingJobName]

    def describe_transform_job(self, TransformJobName: str) -> dict[str, Any]:
        return self.jobs[TransformJobName]


@pytest.fixture
def sagemaker() -> SageMaker:
    return SageMaker()


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, sagemaker: SageMaker) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("ENDPOINT_INSTANCE_TYPE", "ml.t2.medium")
    with mock_aws():
        connect = boto3.client
        fakes: dict[str, Any] = {"sagemaker": sagemaker}
        monkeypatch.setattr(boto3, "client", lambda name: fakes.get(name) or connect(name))
        yield


@pytest.fixture
def s3() -> "S3Client":
    client = boto3.client("s3")
    client.create_bucket(Bucket="data")
    for folder in ("quality", "comparison"):
        client.put_object(Bucket="data", Key=f"runs/one/{folder}/report.html", Body=PAGE.encode())
    dataset = json.dumps({"splits": {"test": {"rows": 25_000}}}).encode()
    client.put_object(Bucket="data", Key="runs/one/report/dataset.json", Body=dataset)
    return client


def estimate() -> dict[str, Any]:
    answer: dict[str, Any] = app.lambda_handler({"pipelineExecutionArn": EXECUTION}, CONTEXT)
    return answer


def read(s3: "S3Client", key: str) -> str:
    return s3.get_object(Bucket="data", Key=f"runs/one/{key}")["Body"].read().decode()


def whole_run(sagemaker: SageMaker) -> None:
    sagemaker.process("IngestRecords", 36, ("report",), InstanceCount=2)
    sagemaker.process("CreateDataset", 72, ("report",))
    sagemaker.search("TuneModel", [100, 200, 60])
    sagemaker.steps.append({"StepName": "CreateModel", "Metadata": {"Model": {"Arn": "arn:model/m"}}})
    sagemaker.transform("ScoreTestSplit", 25)
    sagemaker.process("EvaluateQuality", 18, ("quality",))
    sagemaker.steps.append({"StepName": "AboveFloor", "Metadata": {"Condition": {"Outcome": "True"}}})
    sagemaker.transform("ScoreChampion", 50)
    sagemaker.process("CompareModels", 18, ("comparison",))


def test_a_whole_run_is_priced(s3: "S3Client", sagemaker: SageMaker) -> None:
    whole_run(sagemaker)
    answer = estimate()
    costs = {row["step"]: row["cost"] for row in answer["steps"]}
    assert costs == {
        "IngestRecords": pytest.approx(0.115 * 2 * 36 / 3600),
        "CreateDataset": pytest.approx(0.115 * 72 / 3600),
        "TuneModel": pytest.approx(0.23 * 360 / 3600),
        "ScoreTestSplit": pytest.approx(0.115 * 25 / 3600, abs=1e-6),
        "EvaluateQuality": pytest.approx(0.115 * 18 / 3600),
        "ScoreChampion": pytest.approx(0.115 * 50 / 3600, abs=1e-6),
        "CompareModels": pytest.approx(0.115 * 18 / 3600),
    }
    assert answer["compute"] == pytest.approx(sum(costs.values()), abs=1e-5)
    gigabyte_seconds = 30 * (2 * 36 + 72 + 360 + 18 + 18)
    assert answer["volumes"] == pytest.approx(0.14 * gigabyte_seconds / (30 * 86_400), abs=1e-6)
    assert answer["total"] == pytest.approx(answer["compute"] + answer["volumes"], abs=2e-6)
    assert answer["currency"] == "USD"
    assert answer["endpointsADay"] == pytest.approx(0.056 * 24 * 2)
    assert answer["unknown"] == []
    assert answer["steps"][2] == {
        "step": "TuneModel",
        "kind": "training",
        "instances": "1 × ml.m5.xlarge",
        "jobs": 3,
        "cached": False,
        "seconds": 360,
        "spot": False,
        "unbilledSeconds": 0,
        "hourlyPrice": 0.23,
        "cost": 0.023,
    }
    assert answer["costUri"] == "s3://data/runs/one/cost/cost.json"
    written = json.loads(read(s3, "cost/cost.json"))
    assert written == answer | {"costUri": None}


def test_the_text_tells_what_it_rests_on(s3: "S3Client", sagemaker: SageMaker) -> None:
    sagemaker.process("EvaluateQuality", 3600 * 20, ("quality",), VolumeSizeInGB=0)
    text = estimate()["text"]
    assert text.splitlines() == [
        "Cost on AWS: about 2.30 USD for this run (instances 2.30 USD, volumes 0.0000 USD; prices of "
        "us-east-1 as of 2026-09-28), from the time of its jobs. Not included: S3, "
        "Athena, the feature store, requests.",
        "The 2 endpoints (ml.t2.medium): 2.69 USD per day until they are deleted.",
        "For comparison, aws-samples/aws-sagemaker-byoc-end2end (GPU fine-tuning) costs about 33 USD "
        "per run: https://github.com/aws-samples/aws-sagemaker-byoc-end2end#running-costs",
    ]


def test_what_spot_capacity_saves_is_told(s3: "S3Client", sagemaker: SageMaker) -> None:
    """As SageMaker tells it: the share of the training's seconds that are not billed."""
    members = {"EnableManagedSpotTraining": True, "TrainingTimeInSeconds": 500}
    sagemaker.train("TrainModel", BillableTimeInSeconds=100, **members)
    sagemaker.process("EvaluateQuality", 60, ("quality",))
    answer = estimate()
    row = answer["steps"][0]
    assert (row["spot"], row["seconds"], row["unbilledSeconds"]) == (True, 100, 400)
    assert row["cost"] == pytest.approx(0.23 * 100 / 3600, abs=1e-6)
    line = "TrainModel ran 500 s on Spot capacity and was billed 100 s: 80% saved."
    assert answer["text"].splitlines()[1] == line
    page = read(s3, "quality/report.html")
    assert line in page
    assert "1 × ml.m5.xlarge, Spot" in page


def test_where_spot_capacity_has_no_price_nothing_is_saved(s3: "S3Client", sagemaker: SageMaker) -> None:
    sagemaker.search("TuneModel", [100, 200])
    for job in sagemaker.jobs.values():
        job |= {"EnableManagedSpotTraining": True, "TrainingTimeInSeconds": job["BillableTimeInSeconds"]}
    assert estimate()["text"].splitlines()[1] == (
        "TuneModel requested Spot capacity; all 300 s count as billed, nothing was saved."
    )


def test_what_came_from_the_cache_costs_nothing_and_its_report_stays_as_it_is(
    s3: "S3Client", sagemaker: SageMaker
) -> None:
    whole_run(sagemaker)
    earlier = EXECUTION.replace("abcdefghijkl", "earlier")
    for step in sagemaker.steps:
        step["CacheHitResult"] = {"SourcePipelineExecutionArn": earlier}
    answer = estimate()
    assert (answer["total"], answer["costUri"]) == (0, None)
    assert {row["cost"] for row in answer["steps"]} == {0}
    assert read(s3, "quality/report.html") == read(s3, "comparison/report.html") == PAGE


def test_looking_into_the_cache_in_vain_is_not_free(s3: "S3Client", sagemaker: SageMaker) -> None:
    """AWS's own example of ListPipelineExecutionSteps has the member, empty, in steps that ran."""
    whole_run(sagemaker)
    for step in sagemaker.steps:
        step["CacheHitResult"] = {"SourcePipelineExecutionArn": ""}
    answer = estimate()
    assert answer["total"] > 0
    assert answer["costUri"] == "s3://data/runs/one/cost/cost.json"


def test_an_unknown_instance_type_is_said_to_be_unknown(
    s3: "S3Client", sagemaker: SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDPOINT_INSTANCE_TYPE", "ml.x9.large")
    sagemaker.process("EvaluateQuality", 36, ("quality",), InstanceType="ml.x9.metal")
    answer = estimate()
    assert answer["steps"][0]["cost"] is None
    assert answer["steps"][0]["hourlyPrice"] is None
    assert answer["compute"] == 0
    assert answer["endpointsADay"] is None
    assert answer["unknown"] == ["EvaluateQuality (1 × ml.x9.metal)"]
    assert "the price is unknown: EvaluateQuality (1 × ml.x9.metal)." in answer["text"]
    assert "The 2 endpoints (ml.x9.large): price unknown." in answer["text"]
    assert "<td>unknown</td>" in read(s3, "quality/report.html")


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ({"BillableTimeInSeconds": 30, "TrainingStartTime": START, "TrainingEndTime": START}, 30),
        ({"TrainingStartTime": START, "TrainingEndTime": START + timedelta(seconds=12)}, 12),
        ({"TrainingStartTime": START}, 0),
        ({}, 0),
    ],
)
def test_a_training_costs_the_time_that_is_billed(
    sagemaker: SageMaker, times: dict[str, Any], seconds: float
) -> None:
    sagemaker.train("TrainModel", **times)
    [row] = estimate()["steps"]
    assert row["seconds"] == seconds


def test_both_reports_get_both_sections_once(s3: "S3Client", sagemaker: SageMaker) -> None:
    whole_run(sagemaker)
    answer = estimate()
    first = read(s3, "comparison/report.html")
    assert first == read(s3, "quality/report.html")
    assert first.startswith('<main><h1>Report</h1><!-- cost --><section id="cost">')
    assert '<!-- /cost --><p>between</p><!-- latency --><section id="latency">' in first
    assert "<td>TuneModel</td><td>1 × ml.m5.xlarge, 3 jobs</td><td>360.0 s</td><td>0.23</td>" in first
    assert "<td>new model</td><td>1 × ml.m5.large</td><td>25,000</td><td>25.0 s</td><td>1,000</td>" in first
    assert "<td>live model</td><td>1 × ml.m5.large</td><td>25,000</td><td>50.0 s</td><td>500</td>" in first
    assert '<a href="https://github.com/aws-samples/' in first
    assert [speed["rowsASecond"] for speed in answer["speeds"]] == [1000, 500]
    head = s3.head_object(Bucket="data", Key="runs/one/quality/report.html")
    assert head["ContentType"] == "text/html; charset=utf-8"
    estimate()
    assert read(s3, "comparison/report.html") == first
    sagemaker.jobs["TuneModel-0"]["BillableTimeInSeconds"] = 3700
    estimate()
    again = read(s3, "comparison/report.html")
    assert "3,960.0 s" in again
    assert again.count("<section") == 2


def test_a_report_without_a_place_for_them_stays_as_it_is(s3: "S3Client", sagemaker: SageMaker) -> None:
    s3.put_object(Bucket="data", Key="runs/one/quality/report.html", Body=b"<p>mine</p>")
    sagemaker.process("EvaluateQuality", 1, ("quality",))
    assert estimate()["costUri"]
    assert read(s3, "quality/report.html") == "<p>mine</p>"


@pytest.mark.usefixtures("s3")
def test_a_run_that_came_to_no_report_is_priced_all_the_same(sagemaker: SageMaker) -> None:
    sagemaker.process("IngestRecords", 36)
    answer = estimate()
    assert answer["compute"] == pytest.approx(0.00115)
    assert (answer["costUri"], answer["speeds"]) == (None, [])


def test_the_price_table_is_dated_and_names_types_that_there_are() -> None:
    prices = read_prices()
    assert date(2026, 1, 1) < date.fromisoformat(prices.as_of) <= datetime.now(UTC).date()
    assert prices.source.startswith("https://aws.amazon.com/")
    shapes = {
        "processing": "ProcessingInstanceType",
        "training": "TrainingInstanceType",
        "transform": "TransformInstanceType",
        "hosting": "ProductionVariantInstanceType",
    }
    assert prices.instances.keys() == shapes.keys()
    service = Session().get_service_model("sagemaker")
    for kind, shape in shapes.items():
        assert prices.instances[kind].keys() <= set(service.shape_for(shape).enum)  # type: ignore[attr-defined]
        assert all(0.01 < price < 100 for price in prices.instances[kind].values())


def test_missing_environment_is_named() -> None:
    with pytest.raises(ValidationError, match="ENDPOINT_INSTANCE_TYPE"):
        app.Environment.read({})
