"""A processing job's inputs: their S3 objects and how they are distributed to the instances."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from localaws.runtimes.container import OPT_ML
from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.members import refuse_values, values
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs import athena
from localaws.sagemaker.jobs.job import Job, local_path
from localaws.sagemaker.platform.storage import S3Object, S3Uri

PROCESSING_DIR = f"{OPT_ML}/processing"
SHARDED = "ShardedByS3Key"

DATASET = "ProcessingInputs.DatasetDefinition"
# Members that have an effect, or are stored and returned by Describe; any other member is rejected.
HANDLED = (
    "ProcessingInputs.InputName",
    *(
        f"ProcessingInputs.S3Input.{member}"
        for member in (
            "S3Uri",
            "LocalPath",
            "S3DataType",
            "S3DataDistributionType",
            "S3InputMode",
            "S3CompressionType",
        )
    ),
    *(f"{DATASET}.{member}" for member in ("LocalPath", "DataDistributionType", "InputMode")),
    *(
        f"{DATASET}.AthenaDatasetDefinition.{member}"
        for member in (
            "Catalog",
            "Database",
            "QueryString",
            "WorkGroup",
            "OutputS3Uri",
            "OutputFormat",
            "OutputCompression",
        )
    ),
)
WITHOUT_EFFECT = (f"{DATASET}.AthenaDatasetDefinition.KmsKeyId",)


@dataclass(frozen=True)
class Input:
    """An input with its S3 objects.

    Attributes:
        folder: the objects' folder in the container, relative to /opt/ml.
        objects: the objects in their order.
        sharded: whether the objects are split between the instances (ShardedByS3Key).
    """

    folder: PurePosixPath
    objects: list[S3Object]
    sharded: bool

    def share(self, index: int, instances: int) -> list[S3Object]:
        """Return the objects for one instance; empty if there are more instances than sharded objects."""
        return self.objects[index::instances] if self.sharded else self.objects


def check(request: Document) -> None:
    """Validate a request's ProcessingInputs.

    Raises:
        ValidationException: an input is invalid.
        NotSupportedLocally: an input uses a value that is not supported.
    """
    for path in ("ProcessingInputs.S3Input.S3InputMode", f"{DATASET}.InputMode"):
        refuse_values(request, path, "Pipe")
    refuse_values(request, f"{DATASET}.AthenaDatasetDefinition.OutputFormat", "ORC", "AVRO")
    if "Gzip" in values(request, "ProcessingInputs.S3Input.S3CompressionType"):
        raise ValidationException("S3CompressionType Gzip can only be used with the S3InputMode Pipe")
    for item in request.get("ProcessingInputs", []):
        source = _source(item)
        local_path(source.get("LocalPath", ""), PROCESSING_DIR)
        if "S3Input" in item:
            S3Uri.parse(source["S3Uri"])
        elif "AthenaDatasetDefinition" in source:
            athena.check(source["AthenaDatasetDefinition"])
        else:
            raise ValidationException(
                f"The DatasetDefinition of the input {item['InputName']} requires an AthenaDatasetDefinition"
            )


def resolve(job: Job) -> list[Input]:
    """List the inputs' objects; run the Athena queries that create them.

    Raises:
        ClientFailure: an input cannot be read, or is empty.
        JobStopped: the job was stopped.
    """
    inputs = []
    for item in job.request.get("ProcessingInputs", []):
        job.raise_if_stopped()
        source = _source(item)
        folder = local_path(source["LocalPath"], PROCESSING_DIR)
        if "S3Input" in item:
            objects = job.storage.objects(source["S3DataType"], source["S3Uri"])
            sharded = source.get("S3DataDistributionType") == SHARDED
        else:
            objects = athena.unload(source["AthenaDatasetDefinition"], job, item["InputName"])
            sharded = source.get("DataDistributionType", SHARDED) == SHARDED  # SageMaker's default
        inputs.append(Input(folder, objects, sharded))
    return inputs


def container_config(item: Document) -> Document:
    """Return a ProcessingInput as in processingjobconfig.json, where absent members are null."""
    shown = {"AppManaged": False, "DatasetDefinition": None, **item}
    if "S3Input" not in item:
        absent = {"RedshiftDatasetDefinition": None, "DataDistributionType": SHARDED, "InputMode": "File"}
        shown |= {"S3Input": None, "DatasetDefinition": absent | item["DatasetDefinition"]}
    return shown


def _source(item: Document) -> Document:
    sources = [item[name] for name in ("S3Input", "DatasetDefinition") if name in item]
    if len(sources) != 1:
        raise ValidationException(
            f"The input {item['InputName']} requires either an S3Input or a DatasetDefinition"
        )
    source: Document = sources[0]
    return source
