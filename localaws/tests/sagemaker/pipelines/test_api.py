"""The API operations on pipelines, with a fake SageMaker client for the steps."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import botocore.exceptions
import pytest
from mypy_boto3_sagemaker import SageMakerClient

from localaws.sagemaker.api.errors import ResourceNotFound, ValidationException
from localaws.sagemaker.jobs.training import TrainingJobs
from localaws.sagemaker.pipelines.api import HANDLED, WITHOUT_EFFECT, Pipelines
from localaws.sagemaker.pipelines.executions import Executions
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records
from localaws.testing import Laptop, allow, wait_until
from localaws_tests.jobs import IMAGE, Bucket
from localaws_tests.membership import check_members

ENDED = ("Succeeded", "Failed", "Stopped")


TRAINING = {
    "AlgorithmSpecification": {"TrainingImage": "tiny", "TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::000000000000:role/training",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/models"},
}
ARGUMENTS: dict[str, dict[str, Any]] = {"RegisterModel": {}, "Training": TRAINING}


class FakeSageMaker:
    """A SageMaker client whose operations are functions of the test."""

    def __init__(self, **operations: Callable[[], dict[str, Any]]) -> None:
        self._operations = operations

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        return lambda **_: self._operations[name]()


class FakedPipelines(Pipelines):
    """Pipelines whose steps call the client `sagemaker` that the test sets."""

    sagemaker: Any

    def __init__(self, platform: Platform, executions: type[Executions] = Executions) -> None:
        super().__init__(platform)
        self.executions = executions(platform, self._pipeline)
        self.executions._client = lambda role_arn, service: self.sagemaker  # type: ignore[method-assign]

    def launch(self, role_arn: str, *steps: str, kind: str = "RegisterModel", **members: Any) -> str:
        """Create the pipeline "driven" with these independent steps, and start it."""
        body = [{"Name": name, "Type": kind, "Arguments": ARGUMENTS[kind]} for name in steps]
        return self.launch_steps(role_arn, *body, **members)

    def launch_steps(self, role_arn: str, *steps: dict[str, Any], **members: Any) -> str:
        """Create the pipeline "driven" with these steps, and start it."""
        body = {"Version": "2020-12-01", "Steps": steps}
        self.create(
            {
                "PipelineName": "driven",
                "PipelineDefinition": json.dumps(body),
                "RoleArn": role_arn,
                "ClientRequestToken": token(),
            }
            | members
        )
        return self.start_again()

    def start_again(self, **members: Any) -> str:
        request = {"PipelineName": "driven", "ClientRequestToken": token()} | members
        return str(self.executions.start(request)["PipelineExecutionArn"])

    def ended(self, arn: str) -> str:
        """Wait for the execution's end and return its status."""

        def status() -> str | None:
            found = str(self.executions.describe({"PipelineExecutionArn": arn})["PipelineExecutionStatus"])
            return found if found in ENDED else None

        return str(wait_until(status))

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        response = self.executions.list_steps({"PipelineExecutionArn": arn})
        return {step["StepName"]: step for step in response["PipelineExecutionSteps"]}


def token() -> str:
    return uuid.uuid4().hex


def registered() -> dict[str, Any]:
    return {"ModelPackageArn": "arn"}


def error(code: str) -> botocore.exceptions.ClientError:
    return botocore.exceptions.ClientError(
        {"Error": {"Code": code, "Message": "rejected"}}, "StopTrainingJob"
    )


def throw(error: Exception) -> dict[str, Any]:
    raise error


@pytest.fixture
def pipelines(platform: Platform) -> Iterator[FakedPipelines]:
    driven = FakedPipelines(platform)
    driven.sagemaker = FakeSageMaker(create_model_package=registered, describe_model_package=dict)
    yield driven
    driven.close()


def test_a_stop_during_the_end_of_an_execution_takes_effect(platform: Platform, role_arn: str) -> None:
    may_end = threading.Event()

    class Slow(Executions):
        """Delay after reading an execution's record; meanwhile, the execution could end."""

        def _execution(self, request: dict[str, Any]) -> dict[str, Any]:
            found = super()._execution(request)
            may_end.set()
            time.sleep(0.3)
            return found

    def register() -> dict[str, Any]:
        may_end.wait(10)
        return registered()

    slow = FakedPipelines(platform, Slow)
    slow.sagemaker = FakeSageMaker(create_model_package=register, describe_model_package=dict)
    arn = slow.launch(role_arn, "A")
    slow.executions.stop({"PipelineExecutionArn": arn})
    assert slow.ended(arn) == "Stopped"
    with pytest.raises(ValidationException, match="'Executing' status can be stopped; this one is Stopped"):
        slow.executions.stop({"PipelineExecutionArn": arn})


def test_a_deleted_pipeline_cannot_be_started(pipelines: FakedPipelines, role_arn: str) -> None:
    pipelines.ended(pipelines.launch(role_arn, "A"))
    outcome: list[Any] = []

    def start() -> None:
        try:
            outcome.append(pipelines.start_again())
        except ResourceNotFound as not_found:
            outcome.append(not_found)

    starter = threading.Thread(target=start)

    class Interrupted(Records):
        """Start an execution after the first iteration over the executions."""

        def __iter__(self) -> Iterator[dict[str, Any]]:
            found = super().__iter__()
            if not starter.ident:
                starter.start()
                starter.join(0.5)
            return found

    pipelines.executions.records = Interrupted()
    pipelines.delete({"PipelineName": "driven"})
    starter.join(10)
    assert isinstance(outcome[0], ResourceNotFound)


def test_start_fails_if_the_role_cannot_be_assumed(
    laptop: Laptop, pipelines: FakedPipelines, bucket: Bucket
) -> None:
    role_arn = laptop.role(f"leaving-{bucket.name}")
    pipelines.ended(pipelines.launch(role_arn, "A"))
    laptop.client("iam").delete_role(RoleName=role_arn.rsplit("/", 1)[-1])
    with pytest.raises(ValidationException, match="Could not assume role"):
        pipelines.start_again()
    listed = pipelines.executions.list({"PipelineName": "driven"})["PipelineExecutionSummaries"]
    assert [execution["PipelineExecutionStatus"] for execution in listed] == ["Succeeded"]
    pipelines.delete({"PipelineName": "driven"})


def test_each_call_uses_current_credentials(platform: Platform, role_arn: str) -> None:
    class Renewing(Executions):
        """Return clients whose credentials expire after their first call."""

        def _client(self, role_arn: str, service: str) -> SageMakerClient:
            calls: list[str] = []

            def once(response: dict[str, Any]) -> dict[str, Any]:
                calls.append("")
                if len(calls) > 1:
                    raise error("ExpiredTokenException")
                return response

            job = {"TrainingJobStatus": "Completed"}
            operations = {
                "create_training_job": lambda: once({"TrainingJobArn": "arn"}),
                "describe_training_job": lambda: once(job),
            }
            return cast(SageMakerClient, FakeSageMaker(**operations))

    renewing = FakedPipelines(platform)
    renewing.executions = Renewing(platform, renewing._pipeline)
    arn = renewing.launch(role_arn, "A", "B", kind="Training")
    assert renewing.ended(arn) == "Succeeded", renewing.steps(arn)


@pytest.mark.parametrize(
    ("code", "status"), [("ValidationException", "Succeeded"), ("AccessDeniedException", "Failed")]
)
def test_a_job_that_ends_during_stop_keeps_its_status(
    pipelines: FakedPipelines, role_arn: str, code: str, status: str
) -> None:
    job = {"TrainingJobStatus": "InProgress"}

    def complete_and_reject() -> dict[str, Any]:
        job["TrainingJobStatus"] = "Completed"
        raise error(code)

    pipelines.sagemaker = FakeSageMaker(
        create_training_job=lambda: {"TrainingJobArn": "arn"},
        describe_training_job=lambda: dict(job),
        stop_training_job=complete_and_reject,
    )
    arn = pipelines.launch(role_arn, "A", kind="Training")
    wait_until(lambda: "Metadata" in pipelines.steps(arn).get("A", {}))
    pipelines.executions.stop({"PipelineExecutionArn": arn})
    assert pipelines.ended(arn) == "Stopped"
    assert pipelines.steps(arn)["A"]["StepStatus"] == status


def test_an_unexpected_error_fails_the_step(pipelines: FakedPipelines, role_arn: str) -> None:
    def fail_unexpectedly() -> dict[str, Any]:
        raise TypeError("not as expected")

    pipelines.sagemaker = FakeSageMaker(create_model_package=fail_unexpectedly)
    arn = pipelines.launch(role_arn, "A")
    assert pipelines.ended(arn) == "Failed"
    step = pipelines.steps(arn)["A"]
    assert step["StepStatus"] == "Failed"
    assert step["FailureReason"] == "InternalFailure: see the log of localaws"
    assert step["EndTime"]


@pytest.mark.parametrize(("failures", "status"), [(2, "Succeeded"), (3, "Failed")])
def test_a_step_is_retried_by_its_policies(
    pipelines: FakedPipelines, role_arn: str, failures: int, status: str
) -> None:
    calls = []

    def register() -> dict[str, Any]:
        calls.append("")
        if len(calls) <= failures:
            raise error("ThrottlingException")
        return registered()

    pipelines.sagemaker = FakeSageMaker(create_model_package=register, describe_model_package=dict)
    policy = {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 0, "MaxAttempts": 2}
    step = {"Name": "A", "Type": "RegisterModel", "Arguments": {}, "RetryPolicies": [policy]}
    arn = pipelines.launch_steps(role_arn, step)
    assert pipelines.ended(arn) == status
    assert (pipelines.steps(arn)["A"]["AttemptCount"], len(calls)) == (3, 3)


def test_a_stop_ends_the_wait_for_a_retry(pipelines: FakedPipelines, role_arn: str) -> None:
    policy = {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 600}
    pipelines.sagemaker = FakeSageMaker(create_model_package=lambda: throw(error("ThrottlingException")))
    step = {"Name": "A", "Type": "RegisterModel", "Arguments": {}, "RetryPolicies": [policy]}
    arn = pipelines.launch_steps(role_arn, step)
    wait_until(lambda: pipelines.steps(arn))
    pipelines.executions.stop({"PipelineExecutionArn": arn})
    assert pipelines.ended(arn) == "Stopped"
    assert pipelines.steps(arn)["A"]["StepStatus"] == "Stopped"


def test_runs_of_a_deleted_pipeline_are_not_reused(pipelines: FakedPipelines, role_arn: str) -> None:
    job = {"TrainingJobStatus": "Completed"}
    pipelines.sagemaker = FakeSageMaker(
        create_training_job=lambda: {"TrainingJobArn": "arn"}, describe_training_job=lambda: job
    )
    arguments = TRAINING | {
        "AlgorithmSpecification": {"TrainingImage": "obedient", "TrainingInputMode": "File"}
    }
    cache = {"Enabled": True, "ExpireAfter": "P1D"}
    step = {"Name": "A", "Type": "Training", "Arguments": arguments, "CacheConfig": cache}

    def hit(arn: str) -> bool:
        assert pipelines.ended(arn) == "Succeeded", pipelines.steps(arn)
        return "CacheHitResult" in pipelines.steps(arn)["A"]

    assert not hit(pipelines.launch_steps(role_arn, step))
    assert hit(pipelines.start_again())
    pipelines.delete({"PipelineName": "driven"})
    assert not hit(pipelines.launch_steps(role_arn, step))


@pytest.mark.parametrize(
    ("of_pipeline", "of_execution", "expected"), [(None, None, 4), (1, None, 1), (1, 2, 2), (None, 3, 3)]
)
def test_the_number_of_parallel_steps_is_limited(
    pipelines: FakedPipelines, role_arn: str, of_pipeline: int | None, of_execution: int | None, expected: int
) -> None:
    changed = threading.Condition()
    running = [0]
    seen = []

    def register() -> dict[str, Any]:
        with changed:
            running[0] += 1
            seen.append(running[0])
            changed.notify_all()
            changed.wait_for(lambda: max(seen) >= expected, 30)
        time.sleep(0.2)  # in which one more could launch
        with changed:
            running[0] -= 1
        return registered()

    def parallelism(limit: int | None) -> dict[str, Any]:
        return {"ParallelismConfiguration": {"MaxParallelExecutionSteps": limit}} if limit else {}

    pipelines.ended(pipelines.launch(role_arn, "A", "B", "C", "D", **parallelism(of_pipeline)))
    seen.clear()
    pipelines.sagemaker = FakeSageMaker(create_model_package=register, describe_model_package=dict)
    arn = pipelines.start_again(**parallelism(of_execution))
    assert pipelines.ended(arn) == "Succeeded"
    assert (len(seen), max(seen)) == (4, expected)
    described = pipelines.executions.describe({"PipelineExecutionArn": arn})["ParallelismConfiguration"]
    assert (described or {}).get("MaxParallelExecutionSteps") == (of_execution or of_pipeline)


def test_the_end_of_a_job_notifies_its_step(
    pipelines: FakedPipelines,
    platform: Platform,
    bucket: Bucket,
    role_arn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The step must be notified: it would poll only after an hour."""
    monkeypatch.setattr("localaws.sagemaker.pipelines.jobs.POLL_SECONDS", 3600.0)
    jobs = TrainingJobs(platform)
    pipelines.sagemaker = SimpleNamespace(
        create_training_job=lambda **request: jobs.create(request),
        describe_training_job=lambda **request: jobs.describe(request),
    )
    arguments = TRAINING | {
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": role_arn,
        "OutputDataConfig": {"S3OutputPath": bucket.uri("models")},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "Environment": {"CODE": "time.sleep(1)"},
    }
    arn = pipelines.launch_steps(role_arn, {"Name": "A", "Type": "Training", "Arguments": arguments})
    assert pipelines.ended(arn) == "Succeeded"
    jobs.close()


def test_after_a_failure_waiting_steps_do_not_start(pipelines: FakedPipelines, role_arn: str) -> None:
    pipelines.sagemaker = FakeSageMaker()
    one = {"MaxParallelExecutionSteps": 1}
    arn = pipelines.launch(role_arn, "A", "B", ParallelismConfiguration=one)
    assert pipelines.ended(arn) == "Failed"
    assert len(pipelines.steps(arn)) == 1


def test_parameters_are_listed_in_pages(pipelines: FakedPipelines, role_arn: str) -> None:
    supplied = [{"Name": name, "Value": name} for name in ("one", "two", "three")]
    body = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": item["Name"], "Type": "String"} for item in supplied],
        "Steps": [{"Name": "A", "Type": "RegisterModel", "Arguments": {}}],
    }
    pipelines.launch(role_arn, "A")
    pipelines.update({"PipelineName": "driven", "PipelineDefinition": json.dumps(body)})
    arn = pipelines.start_again(PipelineParameters=supplied)
    first = pipelines.executions.list_parameters({"PipelineExecutionArn": arn, "MaxResults": 2})
    rest = pipelines.executions.list_parameters(
        {"PipelineExecutionArn": arn, "NextToken": first["NextToken"]}
    )
    assert [first["PipelineParameters"], rest["PipelineParameters"]] == [supplied[:2], supplied[2:]]
    assert "NextToken" not in rest


def test_a_token_creates_one_pipeline(pipelines: FakedPipelines, role_arn: str) -> None:
    once = token()
    arn = pipelines.launch(role_arn, "A", ClientRequestToken=once).split("/execution/")[0]
    pipelines.launch(role_arn, "A", ClientRequestToken=once)
    assert [each["PipelineArn"] for each in pipelines.list({})["PipelineSummaries"]] == [arn]
    with pytest.raises(ValidationException, match="Pipeline names must be unique"):
        pipelines.launch(role_arn, "A")


def test_listing_steps_requires_an_execution(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.list_pipeline_execution_steps()


DEFINITION = json.dumps(
    {"Version": "2020-12-01", "Steps": [{"Name": "A", "Type": "RegisterModel", "Arguments": {}}]}
)


def test_a_definition_in_s3_is_read_with_the_role_of_the_pipeline(laptop: Laptop, bucket: Bucket) -> None:
    sagemaker = laptop.client("sagemaker")
    laptop.client("s3").put_bucket_versioning(
        Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
    )
    put = {"Bucket": bucket.name, "Key": "definition.json"}
    version = laptop.client("s3").put_object(**put, Body=DEFINITION.encode())["VersionId"]
    laptop.client("s3").put_object(**put, Body=b"\xff\xfe")
    location = {"Bucket": bucket.name, "ObjectKey": "definition.json"}
    name = bucket.name
    role = laptop.role(f"reader-{name}")

    def create(**more: str) -> None:
        sagemaker.create_pipeline(
            PipelineName=name, PipelineDefinitionS3Location=location | more, RoleArn=role
        )

    with pytest.raises(sagemaker.exceptions.ClientError, match=r"ValidationException.*AccessDenied"):
        create(VersionId=version)
    laptop.allow(role, allow("s3:GetObject", "s3:GetObjectVersion"))
    with pytest.raises(sagemaker.exceptions.ClientError, match=r"ValidationException.*codec can't decode"):
        create()
    create(VersionId=version)
    assert sagemaker.describe_pipeline(PipelineName=name)["PipelineDefinition"] == DEFINITION

    laptop.allow(role, allow("s3:PutObject"))
    with pytest.raises(sagemaker.exceptions.ClientError, match=r"ValidationException.*AccessDenied"):
        sagemaker.update_pipeline(
            PipelineName=name, PipelineDefinitionS3Location=location | {"VersionId": version}
        )
    with pytest.raises(sagemaker.exceptions.ClientError, match="and not both"):
        sagemaker.update_pipeline(
            PipelineName=name, PipelineDefinition=DEFINITION, PipelineDefinitionS3Location=location
        )


@pytest.mark.parametrize("operation", HANDLED)
def test_every_member_is_handled_rejected_or_ignored(pipelines: FakedPipelines, operation: str) -> None:
    operations = pipelines.operations()
    assert set(HANDLED) == set(operations)
    check_members(operations[operation], operation, HANDLED[operation], WITHOUT_EFFECT.get(operation, ()))
