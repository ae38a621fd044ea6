"""Steps through the API: how they begin, are followed and fail."""

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


class Recorded:
    """A SageMaker that answers what the test says, and keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.asked: dict[str, Document] = {}
        self._answers = answers

    def __getattr__(self, operation: str) -> Any:
        def answer(**request: Any) -> Any:
            self.asked[operation] = request
            answer = self._answers[operation]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return answer


def api_step(sagemaker: Recorded, kind: str = "Tuning", notifier: Notifier | None = None) -> ApiStep:
    step = Step({"Name": "Tune", "Type": kind, "Arguments": {}})
    client = cast(SageMakerClient, sagemaker)
    return ApiStep(step, "cmkjoil4kcdj", lambda: client, threading.Event(), notifier or Notifier())


@pytest.mark.parametrize(("objective", "order"), [("Maximize", "Descending"), ("Minimize", "Ascending")])
def test_a_tuning_step_lists_its_jobs_best_first_when_asked(objective: str, order: str) -> None:
    described = {
        "HyperParameterTuningJobStatus": "Completed",
        "HyperParameterTuningJobConfig": {"HyperParameterTuningJobObjective": {"Type": objective}},
    }
    jobs = [{"TrainingJobName": "best"}, {"TrainingJobName": "other"}]
    sagemaker = Recorded(
        create_hyper_parameter_tuning_job={"HyperParameterTuningJobArn": "arn"},
        describe_hyper_parameter_tuning_job=described,
        list_training_jobs_for_hyper_parameter_tuning_job={"TrainingJobSummaries": jobs},
    )
    step = api_step(sagemaker)
    assert step.create({"any": 1}) == {"TuningJob": {"Arn": "arn"}}
    assert step.result(with_tuned_jobs=False) == described
    assert "list_training_jobs_for_hyper_parameter_tuning_job" not in sagemaker.asked
    assert step.result(with_tuned_jobs=True) == described | {"TrainingJobSummaries": jobs}
    name = sagemaker.asked["create_hyper_parameter_tuning_job"]["HyperParameterTuningJobName"]
    assert len(name) <= 32
    assert sagemaker.asked["list_training_jobs_for_hyper_parameter_tuning_job"] == {
        "HyperParameterTuningJobName": name,
        "SortBy": "FinalObjectiveMetricValue",
        "SortOrder": order,
        "MaxResults": 50,
    }


def refused(code: str, status: int = 400) -> botocore.exceptions.ClientError:
    metadata: Any = {"HTTPStatusCode": status}
    return botocore.exceptions.ClientError(
        {"Error": {"Code": code, "Message": "told so"}, "ResponseMetadata": metadata}, "CreateTrainingJob"
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refused("ThrottlingException"), retrying.THROTTLING),
        (refused("ResourceLimitExceeded"), retrying.RESOURCE_LIMIT),
        (refused("InternalFailure", 500), retrying.SERVICE_FAULT),
        (refused("ValidationException"), ""),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), retrying.SERVICE_FAULT),
        (botocore.exceptions.ParamValidationError(report="wrong"), ""),
    ],
)
def test_an_error_of_the_api_is_what_retry_policies_call_it(error: Exception, expected: str) -> None:
    with pytest.raises(StepFailed, match="Failed to invoke sagemaker:CreateTrainingJob") as failure:
        api_step(Recorded(create_training_job=error), "Training").create({})
    assert failure.value.exception_type == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("InternalServerError: We encountered an internal error.", retrying.JOB_INTERNAL_ERROR),
        ("CapacityError: Unable to provision requested ML compute capacity.", retrying.CAPACITY_ERROR),
        ("AlgorithmError: it broke", ""),
    ],
)
def test_a_failed_job_is_what_retry_policies_call_it(reason: str, expected: str) -> None:
    job = {"TrainingJobStatus": "Failed", "FailureReason": reason}
    step = api_step(
        Recorded(create_training_job={"TrainingJobArn": "arn"}, describe_training_job=job), "Training"
    )
    step.create({})
    with pytest.raises(StepFailed, match=reason) as failure:
        step.result(with_tuned_jobs=False)
    assert failure.value.exception_type == expected


def test_a_step_learns_of_its_jobs_end_when_the_bell_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localaws.sagemaker.pipelines.jobs.POLL_SECONDS", 60.0)
    job = {"TrainingJobStatus": "InProgress"}
    sagemaker = Recorded(create_training_job={"TrainingJobArn": "arn"}, describe_training_job=job)
    notifier = Notifier()
    step = api_step(sagemaker, "Training", notifier)
    step.create({})

    def end() -> None:
        job["TrainingJobStatus"] = "Completed"
        notifier.notify()

    threading.Timer(0.1, end).start()
    began = time.monotonic()
    assert step.result(with_tuned_jobs=False) == job
    assert time.monotonic() - began < 30


def test_the_images_of_a_step_are_its_own_and_its_model_s() -> None:
    containers = {"Containers": [{"Image": "in-package"}]}
    sagemaker = Recorded(
        describe_model={"PrimaryContainer": {"Image": "own"}, "Containers": [{"ModelPackageName": "arn"}]},
        describe_model_package={"InferenceSpecification": containers},
    )
    describer = cast(SageMakerClient, sagemaker)
    assert images.find({"ModelName": "m", "TransformInput": {}}, describer) == {"own", "in-package"}
    assert images.find({"AppSpecification": {"ImageUri": "app"}}, describer) == {"app"}
    trained = {"TrainingJobDefinition": {"AlgorithmSpecification": {"TrainingImage": "tuned"}}}
    assert images.find(trained, describer) == {"tuned"}
