import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from explain_failure import app

EXECUTION = "arn:aws:sagemaker:us-east-1:111122223333:pipeline/retrain-pipeline/execution/abcdefghijkl"
JOB = "arn:aws:sagemaker:us-east-1:111122223333:processing-job/pipelines-abc-IngestRecords-xyz"
CAUGHT = {"Error": "PipelineFailed", "Cause": "The pipeline ended as Failed"}
CONTEXT: Any = SimpleNamespace(
    function_name="explain_failure", memory_limit_in_mb=128, invoked_function_arn="arn:fn", aws_request_id="1"
)


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client(
        "sagemaker", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    monkeypatch.setattr(boto3, "client", {"sagemaker": client}.__getitem__)
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def explain(failure: dict[str, str] = CAUGHT, arn: str | None = EXECUTION) -> dict[str, Any]:
    event = {"failure": failure, "pipelineExecutionArn": arn}
    answer: dict[str, Any] = app.lambda_handler(event, CONTEXT)
    return answer


def explanation(error: str, cause: str, **fields: Any) -> dict[str, Any]:
    return {"error": error, "cause": cause, "status": "FAILED", "retriable": False, **fields}


def step(name: str, status: str, minute: int = 0, **fields: Any) -> dict[str, Any]:
    ended = {"EndTime": datetime(2024, 1, 1, 0, minute, tzinfo=UTC)} if status != "Executing" else {}
    return {"StepName": name, "StepStatus": status, **ended, **fields}


def add_steps(sagemaker: Stubber, *pages: list[dict[str, Any]]) -> None:
    expected = {"PipelineExecutionArn": EXECUTION, "SortOrder": "Ascending"}
    for number, page in enumerate(pages, start=1):
        more = {"NextToken": str(number)} if number < len(pages) else {}
        sagemaker.add_response(
            "list_pipeline_execution_steps", {"PipelineExecutionSteps": page, **more}, expected
        )
        expected = {**expected, **more}


def add_execution(sagemaker: Stubber, status: str, **fields: str) -> None:
    sagemaker.add_response(
        "describe_pipeline_execution",
        {"PipelineExecutionStatus": status, **fields},
        {"PipelineExecutionArn": EXECUTION},
    )


def add_processing_failure(sagemaker: Stubber, **fields: str) -> None:
    reason = "AlgorithmError: See job logs for more information, exit code: 1"
    metadata = {"ProcessingJob": {"Arn": JOB}}
    failed = step("IngestRecords", "Failed", FailureReason=reason, Metadata=metadata)
    add_steps(sagemaker, [failed])
    job = {
        "ProcessingJobName": "pipelines-abc-IngestRecords-xyz",
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
        },
        "AppSpecification": {"ImageUri": "processing"},
        "ProcessingJobArn": JOB,
        "ProcessingJobStatus": "Failed",
        "CreationTime": datetime(2024, 1, 1, tzinfo=UTC),
        **fields,
    }
    expected = {"ProcessingJobName": "pipelines-abc-IngestRecords-xyz"}
    sagemaker.add_response("describe_processing_job", job, expected)


def test_unreadable_files_are_named(sagemaker: Stubber) -> None:
    rejected = [
        {"file": "noise.csv", "reason": "not UTF-8 text: byte 0x89 at offset 0"},
        {"file": "raw/deep/empty.csv", "reason": "empty"},
    ]
    add_processing_failure(sagemaker, ExitMessage=json.dumps({"rejected": rejected}))
    assert explain() == explanation(
        "IngestRecords.Failed",
        "Pipeline step IngestRecords failed: raw/noise.csv: not UTF-8 text: byte 0x89 at offset 0; "
        "raw/deep/empty.csv: empty",
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"rejected": [{"file": "a.csv", "reason": "empty"}], "more": 41}, "raw/a.csv: empty (and 41 more)"),
        ({"rejected": [], "more": 2}, "unreadable files under raw/: 2; the job's log names them"),
        ({"error": "3 of 9 records are not visible"}, "3 of 9 records are not visible"),
        ({"rejected": []}, '{"rejected": []}'),
        (["noise.csv"], '["noise.csv"]'),
    ],
)
def test_an_exit_message_is_put_into_words(sagemaker: Stubber, message: object, shown: str) -> None:
    add_processing_failure(sagemaker, ExitMessage=json.dumps(message))
    cause = f"Pipeline step IngestRecords failed: {shown}"
    assert explain() == explanation("IngestRecords.Failed", cause)


def test_an_exit_message_that_is_no_json_is_reported_unchanged(sagemaker: Stubber) -> None:
    add_processing_failure(sagemaker, ExitMessage="disk full")
    assert explain()["cause"] == "Pipeline step IngestRecords failed: disk full"


def test_a_processing_job_without_a_message_has_its_failure_reason(sagemaker: Stubber) -> None:
    add_processing_failure(sagemaker)
    assert explain()["cause"] == (
        "Pipeline step IngestRecords failed: AlgorithmError: See job logs for more information, exit code: 1"
    )


@pytest.mark.parametrize(
    ("name", "metadata", "reason"),
    [
        ("TrainModel", {"TrainingJob": {"Arn": "arn:training-job/t"}}, "AlgorithmError: exit code: 137"),
        ("ScoreTestSplit", {"TransformJob": {"Arn": "arn:transform-job/t"}}, "ClientError: See job logs"),
        ("RegisterModel", {}, "ClientError: ModelPackageGroup retrain-models does not exist"),
        ("IngestRecords", {}, "ClientError: Failed to invoke sagemaker:CreateProcessingJob"),
    ],
)
def test_any_other_step_has_its_own_reason(
    sagemaker: Stubber, name: str, metadata: dict[str, Any], reason: str
) -> None:
    add_steps(sagemaker, [step(name, "Failed", FailureReason=reason, Metadata=metadata)])
    assert explain() == explanation(f"{name}.Failed", f"Pipeline step {name} failed: {reason}")


FLOOR = "The accuracy is below the floor of 0.6"


def test_a_step_that_fails_the_pipeline_on_purpose_is_a_verdict(sagemaker: Stubber) -> None:
    broken = step("ScoreChampion", "Failed", 1, FailureReason="InternalServerError: try again")
    verdict = step("BelowFloor", "Failed", 2, Metadata={"Fail": {"ErrorMessage": FLOOR}})
    add_steps(sagemaker, [broken, verdict])
    assert explain() == explanation("BelowFloor", FLOOR, status="REJECTED")


def test_a_verdict_without_a_message_names_its_step(sagemaker: Stubber) -> None:
    add_steps(sagemaker, [step("BelowFloor", "Failed", Metadata={"Fail": {}})])
    assert explain()["cause"] == "Pipeline step BelowFloor refused the model"


CALL = "ClientError: Failed to invoke sagemaker:CreateTrainingJob. Error Details: "


@pytest.mark.parametrize(
    ("reason", "retriable"),
    [
        ("InternalServerError: We encountered an internal error. Please try again.", True),
        ("ClientError: InternalServerError: We encountered an internal error. Please try again.", True),
        ("CapacityError: Unable to provision requested ML compute capacity.", True),
        ("ThrottlingException: Rate exceeded", True),
        (CALL + "Rate exceeded", True),
        (CALL + "An error occurred (ThrottlingException) when calling it: Rate exceeded", True),
        (CALL + "An error occurred (InternalFailure) when calling it", True),
        (CALL + "An error occurred (ServiceUnavailable) when calling it", True),
        (CALL + "An error occurred (AccessDeniedException) when calling it: not authorized", False),
        (CALL + "An error occurred (ResourceLimitExceeded): the limit is 0 Instances", False),
        (CALL + "An error occurred (ValidationException) when calling it: no such bucket", False),
        ("AlgorithmError: Please use an instance type with more memory, exit code: 137", False),
        ("AlgorithmError: InternalServerError is what our code says, exit code: 1", False),
        ("ClientError: AlgorithmError: InternalServerError is what our code says, exit code: 1", False),
        ("ClientError: Data download failed: no objects found under s3://data/runs/one/", False),
        ("ResourceLimitExceeded: the account-level limit was exceeded", False),
        ("", False),
    ],
)
def test_only_the_platforms_own_faults_are_worth_a_second_try(
    sagemaker: Stubber, reason: str, retriable: bool
) -> None:
    add_steps(sagemaker, [step("TrainModel", "Failed", FailureReason=reason)])
    assert explain()["retriable"] is retriable


def test_the_first_failed_step_is_reported_wherever_it_is_listed(sagemaker: Stubber) -> None:
    add_steps(
        sagemaker,
        [step("Running", "Executing"), step("Later", "Failed", 9, FailureReason="second")],
        [step("Sooner", "Failed", 3, FailureReason="first"), step("IngestRecords", "Succeeded", 1)],
    )
    assert explain()["cause"] == "Pipeline step Sooner failed: first"


def test_a_step_without_any_reason_is_still_named(sagemaker: Stubber) -> None:
    add_steps(sagemaker, [step("TrainModel", "Failed")])
    assert explain()["cause"] == "Pipeline step TrainModel failed"


def test_an_execution_that_failed_before_its_steps(sagemaker: Stubber) -> None:
    add_steps(sagemaker, [])
    add_execution(sagemaker, "Failed", FailureReason="Parameter OutputUri has no value")
    answer = explain()
    assert answer["error"] == "Pipeline.Failed"
    assert answer["cause"] == f"Pipeline execution {EXECUTION} failed: Parameter OutputUri has no value"


def test_a_stopped_execution(sagemaker: Stubber) -> None:
    add_steps(sagemaker, [step("TrainModel", "Stopped")])
    add_execution(sagemaker, "Stopped")
    answer = explain()
    assert answer["error"] == "Pipeline.Stopped"
    assert answer["cause"] == f"Pipeline execution {EXECUTION} was stopped"


def test_a_failure_after_the_pipeline_is_reported_as_it_was_caught(sagemaker: Stubber) -> None:
    add_steps(sagemaker, [step("RegisterModel", "Succeeded")])
    add_execution(sagemaker, "Succeeded")
    failure = {"Error": "EndpointFailed", "Cause": "retrain-realtime: no capacity"}
    assert explain(failure) == explanation("EndpointFailed", "retrain-realtime: no capacity")


def test_a_functions_error_is_reported_without_its_stack_trace() -> None:
    raised = {"errorMessage": "raw/ is empty", "errorType": "NoDataError", "stackTrace": ["  File …"]}
    failure = {"Error": "NoDataError", "Cause": json.dumps(raised)}
    assert explain(failure, arn=None) == explanation("NoDataError", "NoDataError: raw/ is empty")


@pytest.mark.parametrize(
    ("failure", "error", "cause"),
    [
        ({"Error": "States.Timeout"}, "States.Timeout", "States.Timeout: without a cause"),
        ({"Error": "States.Timeout", "Cause": ""}, "States.Timeout", "States.Timeout: without a cause"),
        ({"Error": "SageMaker.X", "Cause": "Rate exceeded (429)"}, "SageMaker.X", "Rate exceeded (429)"),
        ({"Error": "E", "Cause": '{"Status": "FAILED"}'}, "E", '{"Status": "FAILED"}'),
        ({}, "Workflow.Failed", "Workflow.Failed: without a cause"),
    ],
)
def test_the_workflows_own_errors(failure: dict[str, str], error: str, cause: str) -> None:
    assert explain(failure, arn=None) == explanation(error, cause)


def test_a_long_cause_keeps_its_head() -> None:
    cause = explain({"Error": "E", "Cause": "head" + "x" * 40_000}, arn=None)["cause"]
    assert len(cause) == app.MAX_CAUSE
    assert cause.startswith("head")
    assert cause.endswith("x…")
