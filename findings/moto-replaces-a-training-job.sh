#!/usr/bin/env bash
# SageMaker refuses a second training job of the same name (ResourceInUse), which is what makes a retried step safe,
# and lists jobs as SortBy and SortOrder say. moto does neither: the second job replaces the first, hyperparameters
# and all, and the order asked for is ignored, so a test of "take the newest job" or of a retry passes whatever the
# code does. The requests pass botocore's validation. moto's list of implemented features has both calls ticked.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check moto==5.2.5 boto3==1.43.106
venv/bin/python - <<'PYTHON'
import sys

import boto3
import botocore.exceptions
import moto


def create(client, name: str, alpha: str) -> str:
    try:
        client.create_training_job(
            TrainingJobName=name,
            HyperParameters={"alpha": alpha},
            AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "File"},
            RoleArn="arn:aws:iam::123456789012:role/training",
            OutputDataConfig={"S3OutputPath": "s3://data/models"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return "created"


with moto.mock_aws():
    client = boto3.client("sagemaker", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    outcomes = [create(client, *job) for job in (("a", "1"), ("b", "1"), ("a", "2"))]
    alpha = client.describe_training_job(TrainingJobName="a")["HyperParameters"]["alpha"]
    jobs = client.list_training_jobs(SortBy="Name", SortOrder="Descending")["TrainingJobSummaries"]
    names = [job["TrainingJobName"] for job in jobs]

version = f"moto {moto.__version__}, boto3 {boto3.__version__}"
expected = ["created", "created", "ResourceInUse"], "1", ["b", "a"]
seen = outcomes, alpha, names
documented = ["created", "created", "created"], "2", ["a", "b"]
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
