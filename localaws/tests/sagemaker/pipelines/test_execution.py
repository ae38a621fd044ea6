"""Executions of pipelines with real jobs: order, parallel steps, failures and stops."""

import pytest

from localaws.testing import REGION, Laptop, allow, wait_until
from localaws_tests.pipelines import Account


@pytest.fixture(scope="module")
def account(laptop: Laptop) -> Account:
    return Account(laptop)


def test_steps_run_in_dependency_order_with_outputs_as_inputs(account: Account) -> None:
    arn = account.start("order", account.training("Train", "Prepare"), account.processing("Prepare"))
    execution = account.ended(arn)
    assert execution["PipelineExecutionStatus"] == "Succeeded", account.steps(arn)
    assert arn.startswith(f"arn:aws:sagemaker:{REGION}:000000000000:pipeline/order/execution/")

    steps = account.steps(arn)
    assert steps["Prepare"]["EndTime"] <= steps["Train"]["StartTime"]
    job = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[-1]
    assert job.startswith(f"pipelines-{arn.rsplit('/', 1)[-1]}-train-")
    written = account.s3.get_object(Bucket=account.bucket, Key="out/order/Prepare/capitals.txt")[
        "Body"
    ].read()
    assert written == b"ONE\nTWO\n"


def test_independent_steps_run_in_parallel(account: Account) -> None:
    slow = [account.training(name, "Prepare", seconds="1.5") for name in ("One", "Two")]
    arn = account.start("side", account.processing("Prepare"), *slow)
    assert account.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    one, two = (account.steps(arn)[name] for name in ("One", "Two"))
    assert max(one["StartTime"], two["StartTime"]) < min(one["EndTime"], two["EndTime"])


def test_a_failed_step_has_the_reason_and_its_dependents_do_not_start(account: Account) -> None:
    arn = account.start(
        "failing",
        account.processing("Prepare"),
        account.training("Train", "Prepare", fail="the moon is full"),
        {**account.processing("After"), "DependsOn": ["Train"]},
    )
    execution = account.ended(arn)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "Step failure: One or multiple steps failed."
    steps = account.steps(arn)
    assert steps["Train"]["StepStatus"] == "Failed"
    assert "the moon is full" in steps["Train"]["FailureReason"]
    assert "After" not in steps


def test_the_pipeline_s_role_needs_the_permission(account: Account) -> None:
    weak = account.laptop.role("weak", allow("sagemaker:CreateProcessingJob"))
    arn = account.start("weak", account.processing("Prepare"), role=weak)
    assert account.ended(arn)["PipelineExecutionStatus"] == "Failed"
    reason = account.steps(arn)["Prepare"]["FailureReason"]
    assert "Failed to invoke sagemaker:CreateProcessingJob" in reason
    assert f"not authorized to perform: iam:PassRole on resource: {account.role}" in reason


def test_a_stopped_execution_stops_its_jobs(account: Account) -> None:
    arn = account.start(
        "stopped", account.processing("Prepare"), account.training("Train", "Prepare", seconds="60")
    )
    wait_until(lambda: "TrainingJob" in account.steps(arn).get("Train", {}).get("Metadata", {}))
    account.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="1" * 32)
    assert account.ended(arn)["PipelineExecutionStatus"] == "Stopped"
    train = account.steps(arn)["Train"]
    assert train["StepStatus"] == "Stopped"
    job = train["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[-1]
    assert account.sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"] == "Stopped"


def test_a_repeated_token_returns_the_same_execution(account: Account) -> None:
    first = account.start("tokens", account.processing("Prepare"))
    assert account.start_again("tokens", "0" * 32) == first
    second = account.start_again("tokens", "1" * 32)
    assert second != first
    for arn in (first, second):
        assert account.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    listed = account.sagemaker.list_pipeline_executions(PipelineName="tokens")["PipelineExecutionSummaries"]
    assert {execution["PipelineExecutionArn"] for execution in listed} == {first, second}
    parameters = account.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=first)
    assert parameters["PipelineParameters"] == [
        {"Name": "Output", "Value": f"s3://{account.bucket}/out/tokens"}
    ]


def test_start_rejects_a_missing_parameter(account: Account) -> None:
    sagemaker = account.sagemaker
    with pytest.raises(sagemaker.exceptions.ClientError, match="Parameter 'Output' has no value"):
        sagemaker.start_pipeline_execution(PipelineName="tokens")
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Pipeline 'nobody' does not exist"):
        sagemaker.start_pipeline_execution(PipelineName="nobody")
