import json
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from pydantic import ValidationError

EXECUTION = "arn:aws:sagemaker:us-east-1:111122223333:pipeline/retrain-pipeline/execution/abcdefghijkl"
PACKAGE = "arn:aws:sagemaker:us-east-1:111122223333:model-package/retrain-models/7"
STATISTICS = "s3://data/runs/one/quality/statistics.json"
CONTEXT = SimpleNamespace(
    function_name="evaluate_model", memory_limit_in_mb=128, invoked_function_arn="arn:fn", aws_request_id="1"
)


@pytest.fixture
def module(load_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("MIN_ACCURACY", "0.80")
    monkeypatch.setenv("MIN_F1", "0.75")
    with mock_aws():
        yield load_module("functions/evaluate_model/app.py")


@pytest.fixture
def sagemaker(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """SageMaker's client, answering what a test adds; S3 stays moto's."""
    connect, client = boto3.client, boto3.client("sagemaker")
    clients: dict[str, Any] = {"sagemaker": client}
    monkeypatch.setattr(boto3, "client", lambda name: clients.get(name) or connect(name))
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def step(name: str, **metadata: Any) -> dict[str, Any]:
    return {"StepName": name, "StepStatus": "Succeeded", "Metadata": metadata}


def add_steps(sagemaker: Stubber, *pages: list[dict[str, Any]]) -> None:
    expected = {"PipelineExecutionArn": EXECUTION}
    for number, page in enumerate(pages, start=1):
        more = {"NextToken": str(number)} if number < len(pages) else {}
        sagemaker.add_response(
            "list_pipeline_execution_steps", {"PipelineExecutionSteps": page, **more}, expected
        )
        expected = {**expected, **more}


def add_package(sagemaker: Stubber, **fields: Any) -> None:
    package = {
        "ModelPackageName": "retrain-models/7",
        "ModelPackageArn": PACKAGE,
        "CreationTime": "2024-01-01T00:00:00Z",
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        **fields,
    }
    sagemaker.add_response("describe_model_package", package, {"ModelPackageName": PACKAGE})


def judge(module: ModuleType, sagemaker: Stubber, metrics: dict[str, Any]) -> dict[str, Any]:
    training = step("TrainModel", TrainingJob={"Arn": "arn:aws:sagemaker:us-east-1:1:training-job/t"})
    add_steps(sagemaker, [training], [step("RegisterModel", RegisterModel={"Arn": PACKAGE})])
    quality = {"Statistics": {"ContentType": "application/json", "S3Uri": STATISTICS}}
    add_package(sagemaker, ModelMetrics={"ModelQuality": quality})
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="data")
    body = json.dumps({"version": 0.0, "multiclass_classification_metrics": metrics}).encode()
    s3.put_object(Bucket="data", Key="runs/one/quality/statistics.json", Body=body)
    answer: dict[str, Any] = module.lambda_handler({"pipelineExecutionArn": EXECUTION}, CONTEXT)
    return answer


def values(**metrics: Any) -> dict[str, Any]:
    return {name: {"value": value, "standard_deviation": 0.01} for name, value in metrics.items()}


def test_good_model_is_approved(module: ModuleType, sagemaker: Stubber) -> None:
    assert judge(module, sagemaker, values(accuracy=0.89125, weighted_f1=0.8912)) == {
        "approved": True,
        "modelPackageArn": PACKAGE,
        "table": [
            {"metric": "accuracy", "value": 0.89125, "bound": 0.8, "verdict": "pass"},
            {"metric": "weighted_f1", "value": 0.8912, "bound": 0.75, "verdict": "pass"},
        ],
        "summary": "Approved: accuracy 0.8912 is at least 0.8 and weighted_f1 0.8912 is at least 0.75.",
        "statisticsUri": STATISTICS,
        "samplesUri": "s3://data/runs/one/quality/samples.jsonl",
    }


def test_value_on_the_bound_passes(module: ModuleType, sagemaker: Stubber) -> None:
    assert judge(module, sagemaker, values(accuracy=0.8, weighted_f1=0.75))["approved"] is True


def test_poor_model_is_rejected_with_its_reason_only(module: ModuleType, sagemaker: Stubber) -> None:
    answer = judge(module, sagemaker, values(accuracy=0.5012, weighted_f1=0.76))
    assert answer["approved"] is False
    assert [row["verdict"] for row in answer["table"]] == ["fail", "pass"]
    assert answer["summary"] == "Rejected: accuracy 0.5012 is below 0.8."


def test_every_reason_to_reject_is_told(module: ModuleType, sagemaker: Stubber) -> None:
    answer = judge(module, sagemaker, values(accuracy=0.5, weighted_f1=0.4))
    assert answer["summary"] == "Rejected: accuracy 0.5000 is below 0.8 and weighted_f1 0.4000 is below 0.75."


@pytest.mark.parametrize(
    "metrics",
    [
        values(accuracy=0.9),
        values(accuracy=0.9, weighted_f1=float("nan")),
        values(accuracy=0.9, weighted_f1="0.9"),
        values(accuracy=0.9, weighted_f1=True),
    ],
)
def test_missing_metric_rejects(module: ModuleType, sagemaker: Stubber, metrics: dict[str, Any]) -> None:
    answer = judge(module, sagemaker, metrics)
    assert answer["approved"] is False
    assert answer["table"][1] == {
        "metric": "weighted_f1",
        "value": None,
        "bound": 0.75,
        "verdict": "missing",
    }
    assert answer["summary"] == "Rejected: weighted_f1 is missing."


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_pipeline_without_registration_is_an_error(module: ModuleType, sagemaker: Stubber) -> None:
    add_steps(sagemaker, [step("TrainModel")])
    with pytest.raises(module.NoModelPackageError, match=f"No step of {EXECUTION} registered a model"):
        module.lambda_handler({"pipelineExecutionArn": EXECUTION}, CONTEXT)


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_package_without_metrics_is_an_error(module: ModuleType, sagemaker: Stubber) -> None:
    add_steps(sagemaker, [step("RegisterModel", RegisterModel={"Arn": PACKAGE})])
    add_package(sagemaker)
    with pytest.raises(module.NoStatisticsError, match=f"{PACKAGE} has no ModelMetrics"):
        module.lambda_handler({"pipelineExecutionArn": EXECUTION}, CONTEXT)


def test_a_bound_that_is_no_number_is_named(module: ModuleType) -> None:
    with pytest.raises(ValidationError, match="MIN_F1"):
        module.Environment.read({"MIN_ACCURACY": "0.8", "MIN_F1": "good"})
