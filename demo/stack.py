"""The deployed stack's outputs, and the AWS clients."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from demo.errors import SetupError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_stepfunctions import SFNClient

RETRIES = Config(retries={"mode": "standard", "max_attempts": 8})


@dataclass(frozen=True)
class Clients:
    """One client per service, configured by the standard AWS environment."""

    s3: S3Client
    sfn: SFNClient
    sagemaker: SageMakerClient
    runtime: SageMakerRuntimeClient
    cloudformation: CloudFormationClient


@dataclass(frozen=True)
class Stack:
    """The outputs of template.yaml that the demo needs."""

    name: str
    bucket: str
    state_machine: str
    pipeline: str
    real_time: str
    asynchronous: str


def connect() -> Clients:
    """Create the clients with region, credentials and endpoint from the environment."""
    return Clients(
        s3=boto3.client("s3", config=RETRIES),
        sfn=boto3.client("stepfunctions", config=RETRIES),
        sagemaker=boto3.client("sagemaker", config=RETRIES),
        runtime=boto3.client("sagemaker-runtime", config=RETRIES),
        cloudformation=boto3.client("cloudformation", config=RETRIES),
    )


def where() -> str:
    """Return the endpoint URL of the environment, or "AWS" without one."""
    return os.environ.get("AWS_ENDPOINT_URL") or "AWS"


def describe(clients: Clients, name: str) -> Stack:
    """Read the stack's outputs.

    Raises:
        SetupError: The stack does not exist or is not completely deployed.
    """
    try:
        found = clients.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        raise SetupError(
            f"Stack {name!r} does not exist at {where()}. Deploy it (sam deploy) or set another --stack."
        ) from error
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    try:
        return Stack(
            name=name,
            bucket=outputs["DataBucketName"],
            state_machine=outputs["StateMachineArn"],
            pipeline=outputs["PipelineName"],
            real_time=outputs["RealTimeEndpointName"],
            asynchronous=outputs["AsyncEndpointName"],
        )
    except KeyError as missing:
        raise SetupError(
            f"Stack {name!r} is {found['StackStatus']} and has no output {missing}. Deploy it (sam deploy)."
        ) from missing
