"""The HTTP interface: rejected requests and their error responses."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from localaws.testing import REGION, Laptop, allow


def send(laptop: Laptop, target: str, members: dict[str, Any]) -> dict[str, Any]:
    """Send a signed request that botocore's validation would reject, and return the response."""
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    body = json.dumps(members).encode()
    signed = AWSRequest("POST", laptop.endpoint_url, headers, body)
    SigV4Auth(Credentials("test", "test"), "sagemaker", REGION).add_auth(signed)
    request = urllib.request.Request(laptop.endpoint_url, data=body, headers=dict(signed.headers))
    try:
        with urllib.request.urlopen(request) as response:
            content: dict[str, Any] = json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            content = json.loads(error.read())
    return content


def test_an_operation_that_only_aws_supports_is_rejected(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ClientError) as rejected:
        sagemaker.list_auto_ml_jobs()
    assert rejected.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The operation ListAutoMLJobs is not supported locally",
    }


def test_the_server_validates_requests_too(laptop: Laptop) -> None:
    unchecked = laptop.client("sagemaker", config=Config(parameter_validation=False))
    with pytest.raises(unchecked.exceptions.ClientError, match="Value null at 'modelName'"):
        unchecked.create_model()


@pytest.mark.parametrize(
    ("operation", "request_members"),
    [
        ("describe_model", {"ModelName": 1}),
        ("create_model", {"ModelName": "m", "ExecutionRoleArn": {"a": 1}}),
        ("create_model_package", {"ModelPackageGroupName": ["a"]}),
        ("list_tags", {"ResourceArn": 5}),
        ("list_models", {"CreationTimeAfter": 1e300}),
    ],
)
def test_a_member_of_the_wrong_type_is_a_validation_error(
    laptop: Laptop, operation: str, request_members: dict[str, Any]
) -> None:
    """The request is validated before the authorization, which reads its members."""
    target = "SageMaker." + "".join(word.capitalize() for word in operation.split("_"))
    content = send(laptop, target, request_members)
    assert content["__type"] == "ValidationException"
    assert "validation error" in content["message"]


def test_a_role_has_only_the_permissions_of_its_policy(laptop: Laptop) -> None:
    arn = laptop.role("reader", allow("sagemaker:ListModels"))
    keys = laptop.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    sagemaker = laptop.client(
        "sagemaker",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert sagemaker.list_models(NameContains="no-model-has-this-name")["Models"] == []
    with pytest.raises(
        sagemaker.exceptions.ClientError, match=r"AccessDeniedException.*sagemaker:ListEndpoints"
    ):
        sagemaker.list_endpoints()


def test_an_unsigned_request_is_rejected(laptop: Laptop) -> None:
    request = urllib.request.Request(
        laptop.endpoint_url,
        data=b"{}",
        headers={
            "X-Amz-Target": "SageMaker.ListModels",
            "Content-Type": "application/x-amz-json-1.1",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as rejected, urllib.request.urlopen(request):
        pass
    assert rejected.value.code in (400, 403)
    assert "__type" in json.loads(rejected.value.read())
    rejected.value.close()
