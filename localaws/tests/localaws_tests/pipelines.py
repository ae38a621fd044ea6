"""A bucket, a role and pipelines of a running localaws, for the tests of executions."""

import json
import uuid
from typing import Any

from localaws.testing import Laptop, allow, wait_until

ENDED = ("Succeeded", "Failed", "Stopped")


class Account:
    """A bucket, a role and what the tests make with them."""

    def __init__(self, laptop: Laptop) -> None:
        self.laptop = laptop
        self.sagemaker = laptop.client("sagemaker")
        self.s3 = laptop.client("s3")
        self.bucket = f"pipelines-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.put("in/a.txt", b"one\ntwo\n")
        statement = allow("s3:*", "sagemaker:*", "iam:PassRole", "lambda:InvokeFunction")
        self.role = laptop.role(self.bucket, statement)

    def put(self, key: str, body: bytes) -> None:
        """Write an object."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def processing(self, name: str, source: str = "in/", **members: Any) -> dict[str, Any]:
        """A step that copies what lies under a prefix to out/<name>/ in capitals."""
        arguments = {
            "AppSpecification": {"ImageUri": "tiny:latest", "ContainerEntrypoint": ["work"]},
            "ProcessingInputs": [
                {
                    "InputName": "in",
                    "S3Input": {
                        "S3Uri": f"s3://{self.bucket}/{source}",
                        "LocalPath": "/opt/ml/processing/input",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "out",
                        "S3Output": {
                            "S3Uri": {
                                "Std:Join": {"On": "/", "Values": [{"Get": "Parameters.Output"}, name]}
                            },
                            "LocalPath": "/opt/ml/processing/output",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            "RoleArn": self.role,
        }
        return {"Name": name, "Type": "Processing", "Arguments": arguments} | members

    def training(self, name: str, source: str, **hyperparameters: str) -> dict[str, Any]:
        """A step that trains on the output of a processing step."""
        uri = {"Get": f"Steps.{source}.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}
        arguments = {
            "AlgorithmSpecification": {"TrainingImage": "tiny:latest", "TrainingInputMode": "File"},
            "HyperParameters": hyperparameters,
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
                }
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            "RoleArn": self.role,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        return {"Name": name, "Type": "Training", "Arguments": arguments}

    def start(self, pipeline: str, *steps: dict[str, Any], role: str | None = None) -> str:
        """Create a pipeline and start it; the execution's ARN."""
        self.sagemaker.create_pipeline(
            PipelineName=pipeline, PipelineDefinition=_definition(*steps), RoleArn=role or self.role
        )
        return self.start_again(pipeline, "0" * 32)

    def update(self, pipeline: str, *steps: dict[str, Any]) -> None:
        """Give a pipeline other steps."""
        self.sagemaker.update_pipeline(PipelineName=pipeline, PipelineDefinition=_definition(*steps))

    def start_again(self, pipeline: str, token: str) -> str:
        """Start a pipeline; the execution's ARN."""
        arn: str = self.sagemaker.start_pipeline_execution(
            PipelineName=pipeline,
            ClientRequestToken=token,
            PipelineParameters=[{"Name": "Output", "Value": f"s3://{self.bucket}/out/{pipeline}"}],
        )["PipelineExecutionArn"]
        return arn

    def ended(self, arn: str) -> dict[str, Any]:
        """The execution, when it has ended."""

        def described() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
            return found if found["PipelineExecutionStatus"] in ENDED else None

        execution: dict[str, Any] = wait_until(described)
        return execution

    def succeeded(self, arn: str) -> None:
        """Wait for the execution's end, and make sure that it is a good one."""
        assert self.ended(arn)["PipelineExecutionStatus"] == "Succeeded", self.steps(arn)

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        """The steps that have started, by name."""
        answer = self.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
        return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}


def _definition(*steps: dict[str, Any]) -> str:
    parameters = [{"Name": "Output", "Type": "String"}]
    return json.dumps({"Version": "2020-12-01", "Parameters": parameters, "Steps": list(steps)})
