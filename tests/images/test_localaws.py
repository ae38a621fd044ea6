"""SageMaker on a laptop, its containers from images: a model is trained, deployed and asked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws.testing import ACCOUNT, REGION, Laptop, allow, free_port, localaws, running, wait_until
from tests.images.conftest import ROOT, Workshop
from tests.images.test_images import texts

NAME = "template"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/retrain/{NAME}:latest"


@pytest.fixture(scope="module")
def laptop(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A localaws that knows no folder of this image."""
    workshop.image(NAME)
    with running(ROOT / "demo", tmp_path_factory.mktemp("localaws"), "--runtime=oci") as laptop:
        yield laptop


def test_a_model_is_trained_and_deployed(laptop: Laptop, workshop: Workshop) -> None:
    role = laptop.role("everything", allow("*"))
    s3, sagemaker = laptop.client("s3"), laptop.client("sagemaker")
    s3.create_bucket(Bucket="images")
    for channel, rows in {"train": texts(100), "validation": texts(10, start=100)}.items():
        body = "".join(json.dumps(row) + "\n" for row in rows)
        s3.put_object(Bucket="images", Key=f"{channel}/rows.jsonl", Body=body.encode())
    sagemaker.create_training_job(
        TrainingJobName="from-an-image",
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        InputDataConfig=[
            {
                "ChannelName": name,
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://images/{name}/"}},
            }
            for name in ("train", "validation")
        ],
        OutputDataConfig={"S3OutputPath": "s3://images/models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    trained = wait_until(
        lambda: (
            (job := sagemaker.describe_training_job(TrainingJobName="from-an-image"))["TrainingJobStatus"]
            != "InProgress"
            and job
        ),
        seconds=120,
    )
    assert trained["TrainingJobStatus"] == "Completed", trained
    container = {"Image": IMAGE, "ModelDataUrl": trained["ModelArtifacts"]["S3ModelArtifacts"]}
    sagemaker.create_model(ModelName="model", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "all", "ModelName": "model", "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="config", ProductionVariants=[variant | {"InitialInstanceCount": 1}]
    )
    sagemaker.create_endpoint(EndpointName="endpoint", EndpointConfigName="config")
    wait_until(
        lambda: sagemaker.describe_endpoint(EndpointName="endpoint")["EndpointStatus"] != "Creating", 120
    )
    assert sagemaker.describe_endpoint(EndpointName="endpoint")["EndpointStatus"] == "InService"
    answer = laptop.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="endpoint", ContentType="application/json", Body=json.dumps({"text": "a warm film"})
    )
    assert json.loads(answer["Body"].read())["label"] == "pos"


def test_without_an_engine_it_does_not_come_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workshop: Workshop
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = localaws(
        "up", f"--port={free_port()}", f"--workdir={tmp_path}", f"--images={tmp_path}", "--runtime=oci"
    )
    assert refused.returncode == 1
    assert "No container engine is available" in refused.stderr
    assert "Traceback" not in refused.stderr
