"""Steps through the API: creation, waiting and failures."""

import threading
import time
from typing import Any, cast

import botocore.exceptions
import pytest
from mypy_boto3_sagemaker import SageMakerClient

from localaws.sagemaker.pipelines import images, retrying
from localaws.sagemaker.pipelines.errors import StepFailed
from localaws.sagemaker.pipelines.jobs import ApiStep
from localaws.sagemaker.pipelines.steps import Step
from localaws.sagemaker.platform.notifier import Notifier

Document = dict[str, Any]


class FakeSageMaker:
    """A SageMaker client that returns the test's responses and records the requests."""

    def __init__(self, **responses: Any) -> None:
        self.requests: dict[str, Document] = {}
        self._responses = responses

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            self.requests[operation] = request
            response = self._responses[operation]
            if isinstance(response, Exception):
                raise response
            return response

        return call


def api_step(sagemaker: FakeSageMaker, kind: str = "Tuning", notifier: Notifier | None = None) -> ApiStep:
    step = Step({"Name": "Tune", "Type": kind, "Arguments": {}})
    client = cast(SageMakerClient, sagemaker)
    return ApiStep(step, "cmkjoil4kcdj", lambda: client, threading.Event(), notifier or Notifier())


@pytest.mark.parametrize(("objective", "order"), [("Maximize", "Descending"), ("Minimize", "Ascending")])
def test_a_tuning_step_lists_its_jobs_best_first_on_request(objective: str, order: str) -> None:
    described = {
        "HyperParameterTuningJobStatus": "Completed",
        "HyperParameterTuningJobConfig": {"HyperParameterTuningJobObjective": {"Type": objective}},
    }
    jobs = [{"TrainingJobName": "best"}, {"TrainingJobName": "other"}]
    sagemaker = FakeSageMaker(
        create_hyper_parameter_tuning_job={"HyperParameterTuningJobArn": "arn"},
        describe_hyper_parameter_tuning_job=described,
        list_training_jobs_for_hyper_parameter_tuning_job={"TrainingJobSummaries": jobs},
    )
    step = api_step(sagemaker)
    assert step.create({"any": 1}) == {"TuningJob": {"Arn": "arn"}}
    assert step.result(with_tuned_jobs=False) == described
    assert "list_training_jobs_for_hyper_parameter_tuning_job" not in sagemaker.requests
    assert step.result(with_tuned_jobs=True) == described | {"TrainingJobSummaries": jobs}
    name = sagemaker.requests["create_hyper_parameter_tuning_job"]["HyperParameterTuningJobName"]
    assert len(name) <= 32
    assert sagemaker.requests["list_training_jobs_for_hyper_parameter_tuning_job"] == {
        "HyperParameterTuningJobName": name,
        "SortBy": "FinalObjectiveMetricValue",
        "SortOrder": order,
        "MaxResults": 50,
    }


def client_error(code: str, status: int = 400) -> botocore.exceptions.ClientError:
    metadata: Any = {"HTTPStatusCode": status}
    return botocore.exceptions.ClientError(
        {"Error": {"Code": code, "Message": "rejected"}, "ResponseMetadata": metadata}, "CreateTrainingJob"
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (client_error("ThrottlingException"), retrying.THROTTLING),
        (client_error("ResourceLimitExceeded"), retrying.RESOURCE_LIMIT),
        (client_error("InternalFailure", 500), retrying.SERVICE_FAULT),
        (client_error("ValidationException"), ""),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), retrying.SERVICE_FAULT),
        (botocore.exceptions.ParamValidationError(report="wrong"), ""),
    ],
)
def test_api_errors_have_the_exception_types_of_retry_policies(error: Exception, expected: str) -> None:
    with pytest.raises(StepFailed, match="Failed to invoke sagemaker:CreateTrainingJob") as failure:
        api_step(FakeSageMaker(create_training_job=error), "Training").create({})
    assert failure.value.exception_type == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("InternalServerError: We encountered an internal error.", retrying.JOB_INTERNAL_ERROR),
        ("CapacityError: Unable to provision requested ML compute capacity.", retrying.CAPACITY_ERROR),
        ("AlgorithmError: it broke", ""),
    ],
)
def test_failed_jobs_have_the_exception_types_of_retry_policies(reason: str, expected: str) -> None:
    job = {"TrainingJobStatus": "Failed", "FailureReason": reason}
    step = api_step(
        FakeSageMaker(create_training_job={"TrainingJobArn": "arn"}, describe_training_job=job), "Training"
    )
    step.create({})
    with pytest.raises(StepFailed, match=reason) as failure:
        step.result(with_tuned_jobs=False)
    assert failure.value.exception_type == expected


def test_a_step_sees_the_end_of_its_job_when_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localaws.sagemaker.pipelines.jobs.POLL_SECONDS", 60.0)
    job = {"TrainingJobStatus": "InProgress"}
    sagemaker = FakeSageMaker(create_training_job={"TrainingJobArn": "arn"}, describe_training_job=job)
    notifier = Notifier()
    step = api_step(sagemaker, "Training", notifier)
    step.create({})

    def end() -> None:
        job["TrainingJobStatus"] = "Completed"
        notifier.notify()

    threading.Timer(0.1, end).start()
    started = time.monotonic()
    assert step.result(with_tuned_jobs=False) == job
    assert time.monotonic() - started < 30


def test_the_images_of_a_step_include_those_of_its_model() -> None:
    containers = {"Containers": [{"Image": "in-package"}]}
    sagemaker = FakeSageMaker(
        describe_model={"PrimaryContainer": {"Image": "own"}, "Containers": [{"ModelPackageName": "arn"}]},
        describe_model_package={"InferenceSpecification": containers},
    )
    describer = cast(SageMakerClient, sagemaker)
    assert images.find({"ModelName": "m", "TransformInput": {}}, describer) == {"own", "in-package"}
    assert images.find({"AppSpecification": {"ImageUri": "app"}}, describer) == {"app"}
    trained = {"TrainingJobDefinition": {"AlgorithmSpecification": {"TrainingImage": "tuned"}}}
    assert images.find(trained, describer) == {"tuned"}
