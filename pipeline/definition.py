"""The SageMaker Pipeline: dataset, training, batch scoring, quality, registry.

`python pipeline/definition.py` renders this file to `definition.json`, which people read, and to
`definition.include.json`, the same definition as the one string that CloudFormation takes. `--check`
writes nothing and exits with 1 when a rendered file is stale.
"""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.functions import Join
from sagemaker.workflow.parameters import ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import Properties
from sagemaker.workflow.steps import Step, StepTypeEnum

HERE = Path(__file__).resolve().parent
HOURS = 3600  # seconds
VOLUME_GB = 30
JSON_LINES = "application/jsonlines"
MIME_TYPES = [JSON_LINES, "application/json", "text/csv"]

MANIFEST_URI = ParameterString("ManifestUri")
OUTPUT_URI = ParameterString("OutputUri")
PROCESSING_IMAGE = ParameterString("ProcessingImageUri")
MODEL_IMAGE = ParameterString("ModelImageUri")
PROCESSING_ROLE = ParameterString("ProcessingRoleArn")
TRAINING_ROLE = ParameterString("TrainingRoleArn")
MODEL_ROLE = ParameterString("ModelRoleArn")
PACKAGE_GROUP = ParameterString("ModelPackageGroupName")
PROCESSING_INSTANCE = ParameterString("ProcessingInstanceType", default_value="ml.m5.large")
TRAINING_INSTANCE = ParameterString("TrainingInstanceType", default_value="ml.m5.xlarge")
TRANSFORM_INSTANCE = ParameterString("TransformInstanceType", default_value="ml.m5.large")


class RequestStep(Step):
    """A step whose arguments are the very request that SageMaker Pipelines makes.

    The SDK's Processor, Estimator and Model are refused: each adds defaults and name suffixes of its
    own, and the rendered definition would no longer read like this file.
    """

    def __init__(
        self, name: str, kind: StepTypeEnum, answer: str, description: str, request: dict[str, Any]
    ) -> None:
        super().__init__(name, description=description, step_type=kind)
        self._request = request
        self._properties = Properties(step_name=name, step=self, shape_name=answer)

    @property
    def arguments(self) -> dict[str, Any]:
        """The request's body."""
        return self._request

    @property
    def properties(self) -> Properties:
        """What later steps may refer to: the fields of the Describe call's answer."""
        return self._properties


def build() -> Pipeline:
    """The pipeline, without a name: CloudFormation gives it one."""
    prepare = prepare_data()
    train = train_model(prepare)
    model = create_model(train)
    score = score_test_split(prepare, model)
    evaluate = evaluate_quality(prepare, score)
    register = register_model(train, evaluate)
    return Pipeline(
        parameters=[
            MANIFEST_URI,
            OUTPUT_URI,
            PROCESSING_IMAGE,
            MODEL_IMAGE,
            PROCESSING_ROLE,
            TRAINING_ROLE,
            MODEL_ROLE,
            PACKAGE_GROUP,
            PROCESSING_INSTANCE,
            TRAINING_INSTANCE,
            TRANSFORM_INSTANCE,
        ],
        pipeline_experiment_config=None,
        steps=[prepare, train, model, score, evaluate, register],
        sagemaker_session=offline_session(),
    )


def prepare_data() -> RequestStep:
    """Reads every raw file of the manifest; fails, naming them, if some cannot be read."""
    return processing_step(
        "PrepareData",
        "Read the raw files of the manifest and split them into training and test data",
        command="prepare",
        inputs=[
            processing_input("raw", MANIFEST_URI, data_type="ManifestFile"),
            processing_input("plan", MANIFEST_URI),  # its order is the files' order of arrival
        ],
        outputs=[processing_output(name, "dataset", name) for name in ("train", "test", "labels", "report")],
    )


def train_model(prepare: Step) -> RequestStep:
    """Trains the bring-your-own model image on channel `train`."""
    request = {
        "AlgorithmSpecification": {
            "TrainingImage": MODEL_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": name, "Regex": f"{name}=([0-9.]+)"}
                for name in ("train:accuracy", "validation:accuracy")
            ],
        },
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": JSON_LINES,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": output_of(prepare, "train"),
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": below_output("model")},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": TRAINING_INSTANCE,
            "VolumeSizeInGB": VOLUME_GB,
        },
        "RoleArn": TRAINING_ROLE,
        "StoppingCondition": {"MaxRuntimeInSeconds": 24 * HOURS},
    }
    description = "Train the text classifier"
    return RequestStep(
        "TrainModel", StepTypeEnum.TRAINING, "DescribeTrainingJobResponse", description, request
    )


def create_model(train: Step) -> RequestStep:
    """Batch Transform takes a model's name, so the artifacts become a model first."""
    request = {
        "ExecutionRoleArn": MODEL_ROLE,
        "PrimaryContainer": {"Image": MODEL_IMAGE, "ModelDataUrl": artifacts_of(train)},
    }
    description = "Join the trained artifacts and their image to a model"
    return RequestStep("CreateModel", StepTypeEnum.CREATE_MODEL, "DescribeModelOutput", description, request)


def score_test_split(prepare: Step, model: Step) -> RequestStep:
    """Batch-scores the test split with the image that the endpoints will run."""
    request = {
        "ModelName": model.properties.ModelName,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 6,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": output_of(prepare, "test")}},
            "ContentType": JSON_LINES,
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": below_output("predictions"),
            "Accept": JSON_LINES,
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceCount": 1, "InstanceType": TRANSFORM_INSTANCE},
    }
    description = "Score the test split by Batch Transform, in the image that will serve"
    return RequestStep(
        "ScoreTestSplit", StepTypeEnum.TRANSFORM, "DescribeTransformJobResponse", description, request
    )


def evaluate_quality(prepare: Step, score: Step) -> RequestStep:
    """Compares predictions and labels; writes Model Monitor's files."""
    return processing_step(
        "EvaluateQuality",
        "Compare the predictions with the labels; write the model's quality as Model Monitor does",
        command="evaluate",
        inputs=[
            processing_input("predictions", score.properties.TransformOutput.S3OutputPath),
            processing_input("test", output_of(prepare, "test")),
            processing_input("labels", output_of(prepare, "labels")),
        ],
        outputs=[processing_output("quality", "quality")],
    )


def register_model(train: Step, evaluate: Step) -> RequestStep:
    """Registers the model with its metrics, pending the workflow's judgement."""
    request = {
        "ModelPackageGroupName": PACKAGE_GROUP,
        "ModelPackageDescription": "Text classifier, retrained because data arrived",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [{"Image": MODEL_IMAGE, "ModelDataUrl": artifacts_of(train)}],
            "SupportedContentTypes": MIME_TYPES,
            "SupportedResponseMIMETypes": MIME_TYPES,
        },
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {
                    "ContentType": "application/json",
                    "S3Uri": below(output_of(evaluate, "quality"), "statistics.json"),
                },
                "Constraints": {
                    "ContentType": "application/json",
                    "S3Uri": below(output_of(evaluate, "quality"), "constraints.json"),
                },
            }
        },
        "CustomerMetadataProperties": {
            "Manifest": MANIFEST_URI,
            "PipelineExecution": ExecutionVariables.PIPELINE_EXECUTION_ARN,
        },
    }
    description = "Register the model and its quality, pending approval"
    return RequestStep(
        "RegisterModel", StepTypeEnum.REGISTER_MODEL, "DescribeModelPackageOutput", description, request
    )


def processing_step(
    name: str, description: str, *, command: str, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]
) -> RequestStep:
    """A command of the processing image as a step."""
    request = {
        "AppSpecification": {"ImageUri": PROCESSING_IMAGE, "ContainerEntrypoint": [command]},
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": outputs},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": PROCESSING_INSTANCE,
                "VolumeSizeInGB": VOLUME_GB,
            }
        },
        "RoleArn": PROCESSING_ROLE,
        "StoppingCondition": {"MaxRuntimeInSeconds": 24 * HOURS},
    }
    return RequestStep(name, StepTypeEnum.PROCESSING, "DescribeProcessingJobResponse", description, request)


def processing_input(name: str, uri: object, data_type: str = "S3Prefix") -> dict[str, Any]:
    """Copies `uri` to /opt/ml/processing/input/<name> before the job starts."""
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": data_type,
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }


def processing_output(name: str, *path: str) -> dict[str, Any]:
    """Copies /opt/ml/processing/output/<name> below the run's folder when the job ends."""
    return {
        "OutputName": name,
        "S3Output": {
            "S3Uri": below_output(*path),
            "LocalPath": f"/opt/ml/processing/output/{name}",
            "S3UploadMode": "EndOfJob",
        },
    }


def output_of(step: Step, name: str) -> object:
    """Where a processing step's output lies."""
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def artifacts_of(train: Step) -> object:
    """Where the training step's model.tar.gz lies."""
    return train.properties.ModelArtifacts.S3ModelArtifacts


def below_output(*path: str) -> Join:
    """A folder of this run."""
    return below(OUTPUT_URI, *path)


def below(uri: object, *path: str) -> Join:
    """`uri`, known only when the pipeline runs, and a path below it."""
    return Join(on="/", values=[uri, *path])


def offline_session() -> PipelineSession:
    """A session that never calls: rendering needs no account, and the region appears nowhere."""
    # Credentials that exist keep boto3 from looking for some on the network.
    dummy = boto3.Session("unused", "unused", region_name="us-east-1")
    return PipelineSession(boto_session=dummy)


def render() -> dict[Path, str]:
    """Both files' content."""
    definition = json.loads(build().definition())
    included = {"PipelineDefinitionBody": json.dumps(definition, separators=(",", ":"))}
    return {
        HERE / "definition.json": json.dumps(definition, indent=2) + "\n",
        HERE / "definition.include.json": json.dumps(included, indent=2) + "\n",
    }


def main(arguments: list[str]) -> int:
    """Writes what is stale, or with `--check` only names it."""
    stale = {path: text for path, text in render().items() if not path.exists() or path.read_text() != text}
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} is stale: run `python pipeline/definition.py` and commit it", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text)
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
