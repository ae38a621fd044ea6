import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from pydantic import ValidationError

from judge_model import app, judgement

EXECUTION = "arn:aws:sagemaker:us-east-1:111122223333:pipeline/retrain-pipeline/execution/abcdefghijkl"
PACKAGE = "arn:aws:sagemaker:us-east-1:111122223333:model-package/retrain-models/7"
CHAMPION = PACKAGE.replace("/7", "/3")
COMPARISON = "s3://data/runs/one/comparison"
JOB = "arn:aws:sagemaker:us-east-1:111122223333:processing-job/pipelines-abc-CompareModels-xyz"
NOTE = "endpoint retrain-realtime does not exist, and no model of retrain-models was deployed before"
NOT_COMPARED = f" Not compared with a champion: {NOTE}."
GOOD = {"accuracy": 0.9145, "weighted_f1": 0.9144}
STATISTICS = "s3://data/runs/one/quality/statistics.json"
CONTEXT: Any = SimpleNamespace(
    function_name="evaluate_model", memory_limit_in_mb=128, invoked_function_arn="arn:fn", aws_request_id="1"
)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("MIN_ACCURACY", "0.80")
    monkeypatch.setenv("MIN_F1", "0.75")
    monkeypatch.setenv("MIN_IMPROVEMENT", "0.001")
    monkeypatch.setenv("MAX_P_VALUE", "0.05")
    with mock_aws():
        yield


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
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
    expected = {"PipelineExecutionArn": EXECUTION, "SortOrder": "Ascending"}
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


def add_comparison(sagemaker: Stubber, output: str = "comparison") -> None:
    job = {
        "ProcessingJobName": "pipelines-abc-CompareModels-xyz",
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
        },
        "AppSpecification": {"ImageUri": "processing"},
        "ProcessingJobArn": JOB,
        "ProcessingJobStatus": "Completed",
        "CreationTime": "2024-01-01T00:00:00Z",
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": output,
                    "S3Output": {"S3Uri": COMPARISON, "LocalPath": "/out", "S3UploadMode": "EndOfJob"},
                }
            ]
        },
    }
    expected = {"ProcessingJobName": "pipelines-abc-CompareModels-xyz"}
    sagemaker.add_response("describe_processing_job", job, expected)


def put(key: str, content: object) -> None:
    boto3.client("s3").put_object(Bucket="data", Key=f"runs/one/{key}", Body=json.dumps(content).encode())


def judge(
    sagemaker: Stubber,
    metrics: dict[str, Any],
    comparison: dict[str, Any] | None = None,
    compared: str = "comparison",
) -> dict[str, Any]:
    training = step("TrainModel", TrainingJob={"Arn": "arn:aws:sagemaker:us-east-1:1:training-job/t"})
    comparing = [step("CompareModels", ProcessingJob={"Arn": JOB})] if comparison else []
    add_steps(sagemaker, [training], [step("RegisterModel", RegisterModel={"Arn": PACKAGE}), *comparing])
    quality = {"Statistics": {"ContentType": "application/json", "S3Uri": STATISTICS}}
    add_package(sagemaker, ModelMetrics={"ModelQuality": quality})
    boto3.client("s3").create_bucket(Bucket="data")
    put("quality/statistics.json", {"version": 0.0, "multiclass_classification_metrics": metrics})
    event: dict[str, Any] = {
        "pipelineExecutionArn": EXECUTION,
        "championModelPackageArn": None,
        "championNote": NOTE,
    }
    if comparison:
        add_comparison(sagemaker, compared)
        put("comparison/comparison.json", comparison)
        event["championModelPackageArn"] = CHAMPION
    answer: dict[str, Any] = app.lambda_handler(event, CONTEXT)
    return answer


def against(champion: float, challenger: float, p_value: float) -> dict[str, Any]:
    return {
        "metric": "accuracy",
        "rows": 25_000,
        "challenger": challenger,
        "champion": champion,
        "difference": challenger - champion,
        "p_value": p_value,
        "champion_model": "retrain-0123456789ab",
    }


def values(**metrics: Any) -> dict[str, Any]:
    return {name: {"value": value, "standard_deviation": 0.01} for name, value in metrics.items()}


def test_good_model_is_approved(sagemaker: Stubber) -> None:
    assert judge(sagemaker, values(accuracy=0.89125, weighted_f1=0.8912)) == {
        "approved": True,
        "modelPackageArn": PACKAGE,
        "table": [
            {"metric": "accuracy", "value": 0.89125, "relation": ">=", "bound": 0.8, "verdict": "pass"},
            {
                "metric": "weighted_f1",
                "value": 0.8912,
                "relation": ">=",
                "bound": 0.75,
                "verdict": "pass",
            },
        ],
        "summary": "Approved: accuracy 0.8912 is at least 0.8 and weighted_f1 0.8912 is at least 0.75."
        + NOT_COMPARED,
        "statisticsUri": STATISTICS,
        "samplesUri": "s3://data/runs/one/quality/samples.jsonl",
        "reportUri": "s3://data/runs/one/quality/report.html",
    }


def test_value_on_the_bound_passes(sagemaker: Stubber) -> None:
    assert judge(sagemaker, values(accuracy=0.8, weighted_f1=0.75))["approved"] is True


def test_poor_model_is_rejected_with_its_reason_only(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(accuracy=0.5012, weighted_f1=0.76))
    assert answer["approved"] is False
    assert [row["verdict"] for row in answer["table"]] == ["fail", "pass"]
    assert answer["summary"] == "Rejected: accuracy 0.5012 is below 0.8." + NOT_COMPARED


def test_every_reason_to_reject_is_told(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(accuracy=0.5, weighted_f1=0.4))
    assert (
        answer["summary"]
        == "Rejected: accuracy 0.5000 is below 0.8 and weighted_f1 0.4000 is below 0.75." + NOT_COMPARED
    )


@pytest.mark.parametrize(
    "metrics",
    [
        values(accuracy=0.9),
        values(accuracy=0.9, weighted_f1=float("nan")),
        values(accuracy=0.9, weighted_f1="0.9"),
        values(accuracy=0.9, weighted_f1=True),
    ],
)
def test_missing_metric_rejects(sagemaker: Stubber, metrics: dict[str, Any]) -> None:
    answer = judge(sagemaker, metrics)
    assert answer["approved"] is False
    assert answer["table"][1] == {
        "metric": "weighted_f1",
        "value": None,
        "relation": ">=",
        "bound": 0.75,
        "verdict": "missing",
    }
    assert answer["summary"] == "Rejected: weighted_f1 is missing." + NOT_COMPARED


def test_a_better_model_is_approved_with_the_champion_named(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(**GOOD), against(0.9012, 0.9145, 0.0002))
    assert answer["approved"] is True
    assert answer["table"][2:] == [
        {"metric": "improvement", "value": 0.0133, "relation": ">=", "bound": 0.001, "verdict": "pass"},
        {"metric": "p_value", "value": 0.0002, "relation": "<=", "bound": 0.05, "verdict": "pass"},
    ]
    assert answer["summary"] == (
        "Approved: accuracy 0.9145 is at least 0.8 and weighted_f1 0.9144 is at least 0.75 and accuracy "
        "0.9145 is above champion retrain-models/3's 0.9012 (difference +0.0133, p 0.0002)."
    )
    assert answer["reportUri"] == f"{COMPARISON}/report.html"
    assert answer["samplesUri"] == "s3://data/runs/one/quality/samples.jsonl"


def test_a_worse_model_is_rejected_by_champion_metric_and_margin(sagemaker: Stubber) -> None:
    metrics = values(accuracy=0.7012, weighted_f1=0.7)
    answer = judge(sagemaker, metrics, against(0.9145, 0.7012, 1.0))
    assert answer["approved"] is False
    assert answer["summary"] == (
        "Rejected: accuracy 0.7012 is below 0.8 and weighted_f1 0.7000 is below 0.75 and accuracy 0.7012 is "
        "not 0.001 above champion retrain-models/3's 0.9145 (difference -0.2133, p 1.0000)."
    )


def test_a_model_that_is_no_better_is_rejected_for_that_alone(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(**GOOD), against(0.9145, 0.9145, 0.5))
    assert [row["verdict"] for row in answer["table"]] == ["pass", "pass", "fail", "fail"]
    assert answer["summary"] == (
        "Rejected: accuracy 0.9145 is not 0.001 above champion retrain-models/3's 0.9145 "
        "(difference +0.0000, p 0.5000)."
    )


def test_noise_does_not_deploy(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(**GOOD), against(0.9125, 0.9145, 0.21))
    assert [row["verdict"] for row in answer["table"]] == ["pass", "pass", "pass", "fail"]
    assert answer["summary"] == (
        "Rejected: accuracy 0.9145 is above champion retrain-models/3's 0.9125 (difference +0.0020, "
        "p 0.2100), which may be chance: the bound of p is 0.05."
    )


def test_the_margin_itself_is_enough(sagemaker: Stubber) -> None:
    challenger, champion = 0.813, 0.812  # 0.00099999999999989 apart, as machines count
    assert challenger - champion < 0.001
    assert judge(sagemaker, values(**GOOD), against(champion, challenger, 0.05))["approved"] is True


def test_a_summary_fits_into_the_registry() -> None:
    table = [judgement.judge_bound(f"{'metric' * 40}{number}", {}, 0.5) for number in range(9)]
    summary = judgement.summarize(table, None, None, NOTE)
    assert len(summary) == 1024
    assert summary.endswith("…")


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_a_champion_without_a_comparison_is_an_error(sagemaker: Stubber) -> None:
    with pytest.raises(Exception, match="retrain-models/3 is the champion, but no step CompareModels"):
        judge(sagemaker, values(**GOOD), against(0.9, 0.91, 0.01), compared="something")


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize("field", ["difference", "p_value", "challenger"])
@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_comparison_that_lacks_a_number_approves_nothing(
    sagemaker: Stubber, field: str, value: float | None
) -> None:
    with pytest.raises(ValidationError, match=field):
        judge(sagemaker, values(**GOOD), {**against(0.9, 0.91, 0.01), field: value})


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_pipeline_without_registration_is_an_error(sagemaker: Stubber) -> None:
    add_steps(sagemaker, [step("TrainModel")])
    with pytest.raises(Exception, match=f"No step of {EXECUTION} registered a model"):
        app.lambda_handler({"pipelineExecutionArn": EXECUTION, "championNote": NOTE}, CONTEXT)


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_package_without_metrics_is_an_error(sagemaker: Stubber) -> None:
    add_steps(sagemaker, [step("RegisterModel", RegisterModel={"Arn": PACKAGE})])
    add_package(sagemaker)
    with pytest.raises(Exception, match=f"{PACKAGE} has no ModelMetrics"):
        app.lambda_handler({"pipelineExecutionArn": EXECUTION, "championNote": NOTE}, CONTEXT)


def test_a_bound_that_is_no_number_is_named() -> None:
    with pytest.raises(ValidationError, match="MIN_F1"):
        app.Environment.read(
            {"MIN_ACCURACY": "0.8", "MIN_F1": "good", "MIN_IMPROVEMENT": "0", "MAX_P_VALUE": "1"}
        )
