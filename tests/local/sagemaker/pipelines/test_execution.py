"""Executions of pipelines: real jobs, in order, side by side, failed and stopped."""

import json
from typing import Any

import pytest

from tests.local.conftest import REGION, Laptop, allow, wait_until

ENDED = ("Succeeded", "Failed", "Stopped")


class Account:
    """A bucket, a role and what the tests make with them."""

    def __init__(self, laptop: Laptop) -> None:
        self.laptop = laptop
        self.sagemaker = laptop.client("sagemaker")
        self.s3 = laptop.client("s3")
        self.s3.create_bucket(Bucket="pipelines")
        self.s3.put_object(Bucket="pipelines", Key="in/a.txt", Body=b"one\ntwo\n")
        self.role = laptop.role("pipelines", allow("s3:*", "sagemaker:*", "iam:PassRole"))

    def processing(self, name: str, **members: Any) -> dict[str, Any]:
        """A step that copies in/ to out/<name>/ in capitals."""
        arguments = {
            "AppSpecification": {"ImageUri": "tiny:latest", "ContainerEntrypoint": ["work"]},
            "ProcessingInputs": [
                {
                    "InputName": "in",
                    "S3Input": {
                        "S3Uri": "s3://pipelines/in/",
                        "LocalPath": "/opt/ml/processing/input",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "out",
                        "S3Output": {
                            "S3Uri": {
                                "Std:Join": {"On": "/", "Values": [{"Get": "Parameters.Output"}, name]}
                            },
                            "LocalPath": "/opt/ml/processing/output",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            "RoleArn": self.role,
        }
        return {"Name": name, "Type": "Processing", "Arguments": arguments | members}

    def training(self, name: str, source: str, **hyperparameters: str) -> dict[str, Any]:
        """A step that trains on the output of a processing step."""
        uri = {"Get": f"Steps.{source}.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}
        arguments = {
            "AlgorithmSpecification": {"TrainingImage": "tiny:latest", "TrainingInputMode": "File"},
            "HyperParameters": hyperparameters,
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
                }
            ],
            "OutputDataConfig": {"S3OutputPath": "s3://pipelines/models"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            "RoleArn": self.role,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        return {"Name": name, "Type": "Training", "Arguments": arguments}

    def start(self, pipeline: str, *steps: dict[str, Any], role: str | None = None) -> str:
        """Create a pipeline and start it; the execution's ARN."""
        parameters = [{"Name": "Output", "Type": "String"}]
        definition = {"Version": "2020-12-01", "Parameters": parameters, "Steps": list(steps)}
        self.sagemaker.create_pipeline(
            PipelineName=pipeline, PipelineDefinition=json.dumps(definition), RoleArn=role or self.role
        )
        return self.start_again(pipeline, "0" * 32)

    def start_again(self, pipeline: str, token: str) -> str:
        """Start a pipeline; the execution's ARN."""
        arn: str = self.sagemaker.start_pipeline_execution(
            PipelineName=pipeline,
            ClientRequestToken=token,
            PipelineParameters=[{"Name": "Output", "Value": f"s3://pipelines/out/{pipeline}"}],
        )["PipelineExecutionArn"]
        return arn

    def ended(self, arn: str) -> dict[str, Any]:
        """The execution, when it has ended."""

        def described() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
            return found if found["PipelineExecutionStatus"] in ENDED else None

        execution: dict[str, Any] = wait_until(described)
        return execution

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        """The steps that have started, by name."""
        answer = self.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
        return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}


@pytest.fixture(scope="module")
def account(laptop: Laptop) -> Account:
    return Account(laptop)


def test_steps_run_in_order_and_hand_on_what_they_made(account: Account) -> None:
    arn = account.start("order", account.training("Train", "Prepare"), account.processing("Prepare"))
    execution = account.ended(arn)
    assert execution["PipelineExecutionStatus"] == "Succeeded", account.steps(arn)
    assert arn.startswith(f"arn:aws:sagemaker:{REGION}:000000000000:pipeline/order/execution/")

    steps = account.steps(arn)
    assert steps["Prepare"]["EndTime"] <= steps["Train"]["StartTime"]
    job = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[-1]
    assert job.startswith(f"pipelines-{arn.rsplit('/', 1)[-1]}-train-")
    written = account.s3.get_object(Bucket="pipelines", Key="out/order/Prepare/capitals.txt")["Body"].read()
    assert written == b"ONE\nTWO\n"


def test_independent_steps_run_side_by_side(account: Account) -> None:
    slow = [account.training(name, "Prepare", seconds="1.5") for name in ("One", "Two")]
    arn = account.start("side", account.processing("Prepare"), *slow)
    assert account.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    one, two = (account.steps(arn)[name] for name in ("One", "Two"))
    assert max(one["StartTime"], two["StartTime"]) < min(one["EndTime"], two["EndTime"])


def test_a_failed_step_names_the_reason_and_what_follows_does_not_start(account: Account) -> None:
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


def test_the_same_token_is_the_same_execution(account: Account) -> None:
    first = account.start("tokens", account.processing("Prepare"))
    assert account.start_again("tokens", "0" * 32) == first
    second = account.start_again("tokens", "1" * 32)
    assert second != first
    for arn in (first, second):
        assert account.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    listed = account.sagemaker.list_pipeline_executions(PipelineName="tokens")["PipelineExecutionSummaries"]
    assert {execution["PipelineExecutionArn"] for execution in listed} == {first, second}
    parameters = account.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=first)
    assert parameters["PipelineParameters"] == [{"Name": "Output", "Value": "s3://pipelines/out/tokens"}]


def test_a_missing_parameter_is_refused_at_start(account: Account) -> None:
    sagemaker = account.sagemaker
    with pytest.raises(sagemaker.exceptions.ClientError, match="Parameter 'Output' has no value"):
        sagemaker.start_pipeline_execution(PipelineName="tokens")
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Pipeline 'nobody' does not exist"):
        sagemaker.start_pipeline_execution(PipelineName="nobody")
