"""SageMaker on the wire: what is refused, and how."""

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


def answer_to(laptop: Laptop, target: str, members: dict[str, Any]) -> dict[str, Any]:
    """The answer to a signed request that no client would have sent."""
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    body = json.dumps(members).encode()
    signed = AWSRequest("POST", laptop.endpoint_url, headers, body)
    SigV4Auth(Credentials("test", "test"), "sagemaker", REGION).add_auth(signed)
    request = urllib.request.Request(laptop.endpoint_url, data=body, headers=dict(signed.headers))
    try:
        with urllib.request.urlopen(request) as response:
            answer: dict[str, Any] = json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            answer = json.loads(error.read())
    return answer


def test_what_only_aws_does_says_so(laptop: Laptop) -> None:
    sagemaker = laptop.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ClientError) as refused:
        sagemaker.list_auto_ml_jobs()
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The operation ListAutoMLJobs is not supported locally",
    }


def test_a_request_that_breaks_the_model_is_refused_by_the_server_too(laptop: Laptop) -> None:
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
def test_a_member_of_a_wrong_type_is_the_caller_s_mistake(
    laptop: Laptop, operation: str, request_members: dict[str, Any]
) -> None:
    """What is refused is the request, not only what the permissions to do it would be."""
    target = "SageMaker." + "".join(word.capitalize() for word in operation.split("_"))
    answer = answer_to(laptop, target, request_members)
    assert answer["__type"] == "ValidationException"
    assert "validation error" in answer["message"]


def test_a_role_may_do_what_its_policy_says_and_no_more(laptop: Laptop) -> None:
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


def test_an_unsigned_request_is_refused(laptop: Laptop) -> None:
    request = urllib.request.Request(
        laptop.endpoint_url,
        data=b"{}",
        headers={
            "X-Amz-Target": "SageMaker.ListModels",
            "Content-Type": "application/x-amz-json-1.1",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):
        pass
    assert refused.value.code in (400, 403)
    assert "__type" in json.loads(refused.value.read())
    refused.value.close()
