"""A processing job's inputs: where their objects lie, and which instance gets which of them."""

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
# What is acted on, or kept and shown; any other member is refused.
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
    """An input whose objects are known.

    Attributes:
        folder: where they go, relative to /opt/ml.
        objects: in order.
        sharded: whether each instance gets some of them, not all.
    """

    folder: PurePosixPath
    objects: list[S3Object]
    sharded: bool

    def share(self, index: int, instances: int) -> list[S3Object]:
        """What one of the instances gets, which may be nothing where there are fewer objects."""
        return self.objects[index::instances] if self.sharded else self.objects


def check(request: Document) -> None:
    """Refuse what cannot be done.

    Raises:
        ValidationException: why it cannot be done.
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
                f"The DatasetDefinition of the input {item['InputName']} needs an AthenaDatasetDefinition"
            )


def resolve(job: Job) -> list[Input]:
    """Look up the inputs' objects; a query's are made now.

    Raises:
        ClientFailure: an input cannot be had, or is empty.
        JobStopped: the job was asked to stop.
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


def described(item: Document) -> Document:
    """A ProcessingInput as the container's configuration shows it: what it has not is null."""
    shown = {"AppManaged": False, "DatasetDefinition": None, **item}
    if "S3Input" not in item:
        absent = {"RedshiftDatasetDefinition": None, "DataDistributionType": SHARDED, "InputMode": "File"}
        shown |= {"S3Input": None, "DatasetDefinition": absent | item["DatasetDefinition"]}
    return shown


def _source(item: Document) -> Document:
    sources = [item[name] for name in ("S3Input", "DatasetDefinition") if name in item]
    if len(sources) != 1:
        raise ValidationException(
            f"The input {item['InputName']} has to have either an S3Input or a DatasetDefinition"
        )
    source: Document = sources[0]
    return source
