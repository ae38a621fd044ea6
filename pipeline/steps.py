"""The parts of the pipeline: steps that are plain requests, and the parts of a request."""

from typing import Any

from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.properties import Properties, PropertyFile
from sagemaker.workflow.retry import SageMakerJobExceptionTypeEnum, SageMakerJobStepRetryPolicy
from sagemaker.workflow.steps import CacheConfig, Step, StepTypeEnum

from pipeline.settings import MAX_RUNTIME

Request = dict[str, Any]

VOLUME_GB = 30
JSON_LINES = "application/jsonlines"

# The operation whose answer later steps may refer to.
ANSWERS = {
    StepTypeEnum.PROCESSING: "DescribeProcessingJobResponse",
    StepTypeEnum.TRAINING: "DescribeTrainingJobResponse",
    StepTypeEnum.TUNING: "DescribeHyperParameterTuningJobResponse",
    StepTypeEnum.CREATE_MODEL: "DescribeModelOutput",
    StepTypeEnum.TRANSFORM: "DescribeTransformJobResponse",
    StepTypeEnum.REGISTER_MODEL: "DescribeModelPackageOutput",
}
# A step that succeeded with the same arguments within this time is not run again.
CACHE = CacheConfig(enable_caching=True, expire_after="P30D")
# A used-up quota and a shortage of an instance type pass.
JOBS = (StepTypeEnum.PROCESSING, StepTypeEnum.TRAINING, StepTypeEnum.TUNING, StepTypeEnum.TRANSFORM)
NO_INSTANCE = SageMakerJobStepRetryPolicy(
    [SageMakerJobExceptionTypeEnum.RESOURCE_LIMIT, SageMakerJobExceptionTypeEnum.CAPACITY_ERROR],
    interval_seconds=60,
    backoff_rate=1.5,
    expire_after_mins=60,
)


class RequestStep(Step):
    """A step whose arguments are exactly the request that SageMaker Pipelines makes.

    The SDK's Processor, Estimator and Model are refused: each adds defaults and name suffixes, and the
    rendered definition would no longer read like this file.
    """

    def __init__(
        self,
        name: str,
        kind: StepTypeEnum,
        description: str,
        request: Request,
        files: dict[str, tuple[str, str]] | None = None,
        cached: bool = False,
    ) -> None:
        """Make a step.

        Args:
            name: unique in the pipeline.
            kind: decides which request it is.
            description: for the console.
            request: the request's body.
            files: what JsonGet may read, by a name: an output's name and a JSON file in it.
            cached: whether the outcome of an earlier, equal step will do.
        """
        super().__init__(name, description=description, step_type=kind)
        self._request = request
        self._properties = Properties(step_name=name, step=self, shape_name=ANSWERS[kind])
        self._cached = cached
        self.property_files = [
            PropertyFile(name=file, output_name=output, path=path)
            for file, (output, path) in (files or {}).items()
        ]

    @property
    def arguments(self) -> Request:
        """The request's body."""
        return self._request

    @property
    def properties(self) -> Any:
        """What later steps may refer to: the fields of the Describe call's answer."""
        return self._properties

    def to_request(self) -> Request:
        """Return the step for the definition."""
        request: Any = super().to_request()
        if self._cached:
            request |= CACHE.config
        if self.step_type in JOBS:
            request["RetryPolicies"] = [NO_INSTANCE.to_request()]
        if self.property_files:
            request["PropertyFiles"] = [file.expr for file in self.property_files]
        return dict(request)


def processing_job(
    image: str,
    role: str,
    instance: str,
    command: str,
    inputs: list[Request],
    outputs: list[Request],
    environment: dict[str, Any] | None = None,
    instances: str | int = 1,
    volume: object = VOLUME_GB,
) -> Request:
    """Return the request of a command of a processing image."""
    return {
        # No entry point: the image's own drops root before it runs the command.
        "AppSpecification": {"ImageUri": image, "ContainerArguments": [command]},
        **({"Environment": environment} if environment else {}),
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": outputs},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": instances,
                "InstanceType": instance,
                "VolumeSizeInGB": volume,
            }
        },
        "RoleArn": role,
        "StoppingCondition": MAX_RUNTIME,
    }


def s3_input(name: str, uri: object) -> Request:
    """Return an input that is copied from `uri` to /opt/ml/processing/input/<name> before the job starts."""
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": input_folder(name),
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }


def athena_input(name: str, database: object, query: object, results: object) -> Request:
    """Return an input with the result of a query, as Parquet files in /opt/ml/processing/input/<name>."""
    return {
        "InputName": name,
        "DatasetDefinition": {
            "AthenaDatasetDefinition": {
                "Catalog": "AwsDataCatalog",
                "Database": database,
                "QueryString": query,
                "WorkGroup": "primary",
                "OutputS3Uri": results,
                "OutputFormat": "PARQUET",
                "OutputCompression": "SNAPPY",
            },
            "LocalPath": input_folder(name),
            "DataDistributionType": "FullyReplicated",
            "InputMode": "File",
        },
    }


def input_folder(name: str) -> str:
    """Return the folder of a processing job's input."""
    return f"/opt/ml/processing/input/{name}"


def s3_output(name: str, uri: object, mode: str = "EndOfJob") -> Request:
    """Return an output that is copied from /opt/ml/processing/output/<name> to `uri`."""
    return {
        "OutputName": name,
        "S3Output": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/output/{name}",
            "S3UploadMode": mode,
        },
    }


def channel(name: str, uri: object) -> Request:
    """Return a training channel of JSON Lines."""
    return {
        "ChannelName": name,
        "ContentType": JSON_LINES,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": uri,
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


def output_of(step: Step, name: str) -> object:
    """Return the URI of a processing step's output."""
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def value_of(step: Step, file: str, path: str) -> Any:
    """Return a value in a JSON file that a processing step wrote."""
    return JsonGet(step_name=step.name, property_file=file, json_path=path)


def below(uri: object, *path: object) -> object:
    """Return `uri` with a path below it; parts may be known only when the pipeline runs."""
    parts = [uri, *path]
    if all(isinstance(part, str) for part in parts):
        return "/".join(map(str, parts))
    return Join(on="/", values=parts)


def text(*parts: object) -> Join:
    """Return the parts as one string; parts may be known only when the pipeline runs."""
    values: list[object] = []
    for part in parts:
        if isinstance(part, str) and values and isinstance(values[-1], str):
            values[-1] += part
        else:
            values.append(part)
    return Join(on="", values=values)
