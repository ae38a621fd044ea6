"""The permissions that requests require."""

from typing import Any

import pytest

from localaws.sagemaker.api.authorization import Permission, required_permissions

PREFIX = "arn:aws:sagemaker:us-east-1:000000000000:"
ROLE = "arn:aws:iam::000000000000:role/r"

CASES: dict[str, tuple[str, dict[str, Any], list[tuple[str, str]]]] = {
    "job": (
        "CreateTrainingJob",
        {"TrainingJobName": "Job", "RoleArn": ROLE},
        [("sagemaker:CreateTrainingJob", "training-job/job"), ("iam:PassRole", ROLE)],
    ),
    "model": (
        "CreateModel",
        {"ModelName": "m", "ExecutionRoleArn": ROLE, "Tags": [{"Key": "a", "Value": "b"}]},
        [("sagemaker:CreateModel", "model/m"), ("sagemaker:AddTags", "model/m"), ("iam:PassRole", ROLE)],
    ),
    "endpoint": (
        "UpdateEndpoint",
        {"EndpointName": "e", "EndpointConfigName": "c"},
        [("sagemaker:UpdateEndpoint", "endpoint/e"), ("sagemaker:UpdateEndpoint", "endpoint-config/c")],
    ),
    "new version": (
        "CreateModelPackage",
        {"ModelPackageGroupName": "G"},
        [("sagemaker:CreateModelPackage", "model-package/g/*")],
    ),
    "new version of a group by its ARN": (
        "CreateModelPackage",
        {"ModelPackageGroupName": PREFIX + "model-package-group/g"},
        [("sagemaker:CreateModelPackage", "model-package/g/*")],
    ),
    "version": (
        "UpdateModelPackage",
        {"ModelPackageArn": PREFIX + "model-package/g/3"},
        [("sagemaker:UpdateModelPackage", "model-package/g/3")],
    ),
    "start": (
        "StartPipelineExecution",
        {"PipelineName": "P"},
        [("sagemaker:StartPipelineExecution", "pipeline/p")],
    ),
    "execution": (
        "ListPipelineExecutionSteps",
        {"PipelineExecutionArn": PREFIX + "pipeline/p/execution/x"},
        [("sagemaker:ListPipelineExecutionSteps", "pipeline/p/execution/x")],
    ),
    "list": ("ListTrainingJobs", {}, [("sagemaker:ListTrainingJobs", "*")]),
    "async": (
        "InvokeEndpointAsync",
        {"EndpointName": "e"},
        [("sagemaker:InvokeEndpointAsync", "endpoint/e")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_request_requires_permissions(case: str) -> None:
    operation, request, expected = CASES[case]
    found = list(required_permissions(operation, request, PREFIX))
    assert [(permission.action, permission.resource.removeprefix(PREFIX)) for permission in found] == expected


def test_a_role_is_passed_to_sagemaker() -> None:
    *_, passed = required_permissions("CreateModel", {"ModelName": "m", "ExecutionRoleArn": ROLE}, PREFIX)
    assert passed == Permission("iam:PassRole", ROLE, {"iam:PassedToService": "sagemaker.amazonaws.com"})
