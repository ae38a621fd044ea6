"""SageMaker on the wire: what is refused, and how."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.config import Config

from tests.local.conftest import REGION, Laptop, allow


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


def test_a_role_may_do_what_its_policy_says_and_no_more(laptop: Laptop) -> None:
    arn = laptop.role("reader", allow("sagemaker:ListModels"))
    keys = laptop.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    sagemaker = laptop.client(
        "sagemaker",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert sagemaker.list_models()["Models"] == []
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
            "Host": f"api.sagemaker.{REGION}.amazonaws.com",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):
        pass
    assert refused.value.code in (400, 403)
    assert "__type" in json.loads(refused.value.read())
    refused.value.close()
