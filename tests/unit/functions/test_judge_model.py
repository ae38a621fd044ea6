import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from pydantic import ValidationError

from judge_model import app, judgement, measurements

EXECUTION = "arn:aws:sagemaker:us-east-1:111122223333:pipeline/retrain-pipeline/execution/abcdefghijkl"
PACKAGE = "arn:aws:sagemaker:us-east-1:111122223333:model-package/retrain-models/7"
CHAMPION = PACKAGE.replace("/7", "/3")
COMPARISON = "s3://data/runs/one/comparison"
JOB = "arn:aws:sagemaker:us-east-1:111122223333:processing-job/pipelines-abc-CompareModels-xyz"
NOTE = "endpoint retrain-realtime does not exist, and no model of retrain-models was deployed before"
NOT_COMPARED = f" Not compared with a champion: {NOTE}."
CONSTANT = {"label": "pos", "accuracy": 0.5, "p_value": 0.0001, "test": "McNemar exact, one-sided"}
DETAILS: dict[str, Any] = {
    "constant_classifier": CONSTANT,
    "test_rows": {"rows": 25_000, "labels": {"neg": 12_500, "pos": 12_500}},
    "slices": [],
}
BETTER = "it is better than always answering pos, which has 0.5000 (p 0.0001)"
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
    monkeypatch.setenv("MIN_LOSS_P_VALUE", "0.05")
    monkeypatch.setenv("MAX_CONSTANT_P_VALUE", "0.05")
    monkeypatch.setenv("MIN_TEST_ROWS", "200")
    monkeypatch.setenv("MIN_TEST_ROWS_PER_LABEL", "20")
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
    first: bool = False,
    **details: Any,
) -> dict[str, Any]:
    training = step("TrainModel", TrainingJob={"Arn": "arn:aws:sagemaker:us-east-1:1:training-job/t"})
    comparing = [step("CompareModels", ProcessingJob={"Arn": JOB})] if comparison else []
    add_steps(sagemaker, [training], [step("RegisterModel", RegisterModel={"Arn": PACKAGE}), *comparing])
    quality = {"Statistics": {"ContentType": "application/json", "S3Uri": STATISTICS}}
    add_package(sagemaker, ModelMetrics={"ModelQuality": quality})
    boto3.client("s3").create_bucket(Bucket="data")
    put("quality/statistics.json", {"version": 0.0, "multiclass_classification_metrics": metrics})
    put("quality/details.json", DETAILS | details)
    event: dict[str, Any] = {
        "pipelineExecutionArn": EXECUTION,
        "championModelPackageArn": None,
        "championNote": NOTE,
        "firstModel": first,
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
        "metrics": {
            name: {"challenger": challenger, "champion": champion, "difference": 0, "loss_p_value": 0.9}
            for name in ("accuracy", "weighted_f1", "macro_f1", "auc")
        },
        "left_out": [],
        "recalls": [
            {"label": "neg", "rows": 12_500, "challenger": 0.92, "champion": 0.91, "loss_p_value": 0.8},
            {"label": "pos", "rows": 12_500, "challenger": 0.90, "champion": 0.90, "loss_p_value": 0.7},
        ],
    }


def values(**metrics: Any) -> dict[str, Any]:
    return {name: {"value": value, "standard_deviation": 0.01} for name, value in metrics.items()}


def passed(metric: str, value: float, relation: str, bound: float) -> dict[str, Any]:
    return {"metric": metric, "value": value, "relation": relation, "bound": bound, "verdict": "pass"}


def failed(answer: dict[str, Any]) -> list[str]:
    return [row["metric"] for row in answer["table"] if row["verdict"] != "pass"]


def verdicts(answer: dict[str, Any]) -> dict[str, str]:
    return {row["metric"]: row["verdict"] for row in answer["table"]}


def test_good_model_is_approved(sagemaker: Stubber) -> None:
    assert judge(sagemaker, values(accuracy=0.89125, weighted_f1=0.8912)) == {
        "approved": True,
        "verdict": "model approved",
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
            passed("constant_p_value", 0.0001, "<=", 0.05),
            passed("test_rows", 25_000, ">=", 200),
            passed("test_rows_per_label", 12_500, ">=", 20),
        ],
        "summary": "Approved: accuracy 0.8912 is at least 0.8 and weighted_f1 0.8912 is at least 0.75 and "
        f"{BETTER}.{NOT_COMPARED}",
        "statisticsUri": STATISTICS,
        "samplesUri": "s3://data/runs/one/quality/samples.jsonl",
        "reportUri": "s3://data/runs/one/quality/report.html",
    }


def test_value_on_the_bound_passes(sagemaker: Stubber) -> None:
    assert judge(sagemaker, values(accuracy=0.8, weighted_f1=0.75))["approved"] is True


def test_poor_model_is_rejected_with_its_reason_only(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(accuracy=0.5012, weighted_f1=0.76))
    assert answer["approved"] is False
    assert [row["verdict"] for row in answer["table"]] == ["fail", *["pass"] * 4]
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
        passed("constant_p_value", 0.0001, "<=", 0.05),
        passed("improvement", 0.0133, ">=", 0.001),
        passed("p_value", 0.0002, "<=", 0.05),
        passed("label_recall_loss", 0.7, ">=", 0.05),
        passed("weighted_f1_loss", 0.9, ">=", 0.05),
        passed("macro_f1_loss", 0.9, ">=", 0.05),
        passed("test_rows", 25_000, ">=", 200),
        passed("test_rows_per_label", 12_500, ">=", 20),
    ]
    assert answer["summary"] == (
        f"Approved: accuracy 0.9145 is at least 0.8 and weighted_f1 0.9144 is at least 0.75 and {BETTER} and "
        "accuracy 0.9145 is above champion retrain-models/3's 0.9012 (difference +0.0133, p 0.0002)."
    )
    assert answer["reportUri"] == f"{COMPARISON}/report.html"
    assert answer["samplesUri"] == "s3://data/runs/one/quality/samples.jsonl"


def test_a_worse_model_is_rejected_by_champion_metric_and_margin(sagemaker: Stubber) -> None:
    metrics = values(accuracy=0.7012, weighted_f1=0.7)
    answer = judge(sagemaker, metrics, against(0.9145, 0.7012, 1.0))
    assert answer["approved"] is False
    assert answer["verdict"] == "model rejected"
    assert answer["summary"] == (
        "Rejected: accuracy 0.7012 is below 0.8 and weighted_f1 0.7000 is below 0.75 and accuracy 0.7012 is "
        "not 0.001 above champion retrain-models/3's 0.9145 (difference -0.2133, p 1.0000)."
    )


def test_a_model_that_is_no_better_is_rejected_for_that_alone(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(**GOOD), against(0.9145, 0.9145, 0.5))
    assert failed(answer) == [
        "improvement",
        "p_value",
    ]
    assert answer["summary"] == (
        "Rejected: accuracy 0.9145 is not 0.001 above champion retrain-models/3's 0.9145 "
        "(difference +0.0000, p 0.5000)."
    )


def test_noise_does_not_deploy(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(**GOOD), against(0.9125, 0.9145, 0.21))
    assert failed(answer) == ["p_value"]
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
    rows = measurements.TestRows(rows=25_000, labels={})
    summary = judgement.summarize(table, rows, NOT_COMPARED)
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


def test_a_model_that_only_knows_the_frequent_label_is_rejected(sagemaker: Stubber) -> None:
    constant = CONSTANT | {"accuracy": 0.95, "p_value": 1.0}
    answer = judge(sagemaker, values(accuracy=0.95, weighted_f1=0.926), constant_classifier=constant)
    assert verdicts(answer)["constant_p_value"] == "fail"
    assert answer["summary"] == (
        "Rejected: it is not significantly better than always answering pos, which has 0.9500 (p 1.0000)."
        + NOT_COMPARED
    )


def test_a_lost_label_rejects_a_model_that_gains_accuracy(sagemaker: Stubber) -> None:
    comparison = against(0.90, 0.93, 0.001)
    comparison["recalls"][0] |= {"challenger": 0.31, "champion": 0.84, "loss_p_value": 0.0004}
    answer = judge(sagemaker, values(**GOOD), comparison)
    assert failed(answer) == ["label_recall_loss"]
    assert answer["summary"] == (
        "Rejected: the recall of neg, 0.3100, is significantly below the champion's 0.8400 (p 0.0004)."
    )


@pytest.mark.parametrize("name", ["weighted_f1", "macro_f1"])
def test_a_lost_f1_rejects(sagemaker: Stubber, name: str) -> None:
    comparison = against(0.90, 0.93, 0.001)
    comparison["metrics"][name] = {"challenger": 0.7, "champion": 0.8, "loss_p_value": 0.01}
    answer = judge(sagemaker, values(**GOOD), comparison)
    assert answer["summary"] == (
        f"Rejected: {name} 0.7000 is significantly below the champion's 0.8000 (p 0.0100)."
    )


def test_losses_are_not_judged_with_a_bound_of_0(sagemaker: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIN_LOSS_P_VALUE", "0")
    comparison = against(0.90, 0.93, 0.001)
    comparison["recalls"][0]["loss_p_value"] = 1e-30
    assert judge(sagemaker, values(**GOOD), comparison)["approved"] is True


ONE_ROW = {"rows": 1, "labels": {"neg": 0, "pos": 1}}


def test_too_few_rows_replace_no_model(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(**GOOD), against(0.5, 1.0, 0.001), test_rows=ONE_ROW)
    assert (answer["approved"], answer["verdict"]) == (False, "not enough test rows")
    assert answer["summary"] == (
        "Not enough test rows: of 1 test rows, 199 more are needed; neg has 0, 20 more are needed; pos has "
        "1, 19 more are needed."
    )
    assert failed(answer) == [
        "test_rows",
        "test_rows_per_label",
    ]


def test_too_few_rows_hide_no_other_reason(sagemaker: Stubber) -> None:
    rows = {"rows": 500, "labels": {f"label{number}\n": 3 for number in range(7)} | {"pos": 479}}
    answer = judge(sagemaker, values(accuracy=0.7, weighted_f1=0.8), against(0.5, 0.7, 0.001), test_rows=rows)
    assert answer["verdict"] == "not enough test rows"
    assert answer["summary"].startswith("Not enough test rows: label0  has 3, 17 more are needed; ")
    assert answer["summary"].endswith("; 2 more labels have too few. Also, accuracy 0.7000 is below 0.8.")


def test_a_first_model_on_a_handful_of_rows_is_named_as_such(sagemaker: Stubber) -> None:
    constant = CONSTANT | {"p_value": 0.5}
    answer = judge(sagemaker, values(**GOOD), first=True, test_rows=ONE_ROW, constant_classifier=constant)
    assert (answer["approved"], answer["verdict"]) == (True, "model approved")
    assert {name for name, verdict in verdicts(answer).items() if verdict == "few rows"} == {
        "constant_p_value",
        "test_rows",
        "test_rows_per_label",
    }
    assert answer["summary"] == (
        "Approved as the first model, judged on 1 rows only: accuracy 0.9145 is at least 0.8 and weighted_f1 "
        "0.9144 is at least 0.75." + NOT_COMPARED
    )


def test_a_first_model_keeps_its_bounds(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(accuracy=0.7, weighted_f1=0.8), first=True, test_rows=ONE_ROW)
    assert answer["approved"] is False
    assert "accuracy 0.7000 is below 0.8" in answer["summary"]


def test_a_refused_comparison_does_not_make_a_first_model(sagemaker: Stubber) -> None:
    answer = judge(sagemaker, values(**GOOD), first=False, test_rows=ONE_ROW)
    assert (answer["approved"], answer["verdict"]) == (False, "not enough test rows")


def test_a_comparison_on_some_rows_is_described(sagemaker: Stubber) -> None:
    new = {"label": "mixed", "rows": 300, "unknown_to": "champion"}
    comparison = against(0.90, 0.93, 0.001) | {"rows": 24_700, "left_out": [new]}
    answer = judge(sagemaker, values(**GOOD), comparison)
    assert answer["approved"] is True
    assert answer["summary"].endswith(
        " Compared on the 24,700 test rows whose labels both models know, without mixed (300 rows, unknown "
        "to champion)."
    )


def test_rows_that_are_not_compared_do_not_count(sagemaker: Stubber) -> None:
    new = [{"label": f"l{number}", "rows": 3_000, "unknown_to": "champion"} for number in range(8)]
    comparison = against(0.90, 0.93, 0.001) | {"rows": 150, "left_out": new}
    answer = judge(sagemaker, values(**GOOD), comparison)
    assert answer["verdict"] == "not enough test rows"
    assert answer["summary"].startswith("Not enough test rows: of 150 test rows, 50 more are needed.")
    assert answer["summary"].endswith(", 3 more labels.")
