"""Processing jobs."""

import codecs
import json
from contextlib import ExitStack
from pathlib import Path

from localaws.runtimes.container import OPT_ML
from localaws.sagemaker.continuous_upload import ContinuousUpload
from localaws.sagemaker.errors import ClientFailure, NotSupportedLocally, ValidationException
from localaws.sagemaker.http import Operation
from localaws.sagemaker.jobs import (
    ALGO_HOST,
    ENDED,
    MAX_RUNTIME_SECONDS,
    Job,
    Jobs,
    algorithm_failure,
    local_path,
)
from localaws.sagemaker.logs import LogStream
from localaws.sagemaker.members import refuse, refuse_clusters, refuse_values, values
from localaws.sagemaker.records import now
from localaws.sagemaker.shapes import Document
from localaws.sagemaker.storage import S3Uri

PROCESSING_DIR = f"{OPT_ML}/processing"
MESSAGE_BYTES = 1024  # of ExitMessage

CLUSTER = "ProcessingResources.ClusterConfig"
REFUSED = (
    "ProcessingInputs.DatasetDefinition",
    "ProcessingInputs.AppManaged",
    "ProcessingOutputConfig.Outputs.FeatureStoreOutput",
    "ProcessingOutputConfig.Outputs.AppManaged",
    f"{CLUSTER}.InstancePreferences",
    f"{CLUSTER}.SelectedInstanceType",
    f"{CLUSTER}.SelectedInstanceCount",
)
# Accepted, since they only say something about AWS's machines, networks, keys and bookkeeping. A job with
# EnableNetworkIsolation gets no credentials, but its process is not cut off from the network.
WITHOUT_EFFECT = (
    f"{CLUSTER}.InstanceType",
    f"{CLUSTER}.VolumeSizeInGB",
    f"{CLUSTER}.VolumeKmsKeyId",
    "ProcessingInputs.S3Input.S3DataDistributionType",
    "ProcessingOutputConfig.KmsKeyId",
    "NetworkConfig.VpcConfig",
    "NetworkConfig.EnableInterContainerTrafficEncryption",
    "ExperimentConfig",
)


class ProcessingJobs(Jobs):
    """Processing jobs: inputs down, a container, outputs up."""

    noun = "ProcessingJob"
    arn_kind = "processing-job"

    def operations(self) -> dict[str, Operation]:
        """The operations that this noun answers."""
        return super().operations() | {"DeleteProcessingJob": self.delete}

    def check(self, request: Document) -> str:
        """Refuse what cannot be done; give the role's ARN."""
        refuse(request, *REFUSED)
        refuse_clusters(request, f"{CLUSTER}.InstanceCount")
        refuse_values(request, "ProcessingInputs.S3Input.S3InputMode", "Pipe")
        if "Gzip" in values(request, "ProcessingInputs.S3Input.S3CompressionType"):
            raise ValidationException("S3CompressionType Gzip can only be used with the S3InputMode Pipe")
        if not request["AppSpecification"].get("ContainerEntrypoint"):
            raise NotSupportedLocally("An AppSpecification without ContainerEntrypoint")
        for item in (*_inputs(request), *_outputs(request)):
            local_path(item.get("LocalPath", ""), PROCESSING_DIR)
            S3Uri.parse(item["S3Uri"])
        return str(request["RoleArn"])

    def status_members(self, status: str, record: Document) -> Document:
        """The end has its time."""
        return {"ProcessingEndTime": now()} if status in ENDED else {}

    def work(self, job: Job, log: LogStream) -> None:
        """Download, run the container, upload; what fails or is stopped uploads no EndOfJob output."""
        application = job.request["AppSpecification"]
        job.prepare(application["ImageUri"])
        self._lay_out(job)
        isolated = job.request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
        outputs = _outputs(job.request)
        with ExitStack() as uploads:
            for output in outputs:
                if output["S3UploadMode"] == "Continuous":
                    folder, uri = _local(job, output), S3Uri.parse(output["S3Uri"])
                    uploads.enter_context(ContinuousUpload(job.storage, folder, uri))
            self.records.update(job.name, ProcessingStartTime=now())
            code = job.run(
                application["ImageUri"],
                (*application["ContainerEntrypoint"], *application.get("ContainerArguments", [])),
                job.credentials(isolated) | job.request.get("Environment", {}),
                log.write,
            )
            self._keep_message(job)
        if code:
            raise algorithm_failure("", code)
        if code == 0:
            for output in outputs:
                if output["S3UploadMode"] == "EndOfJob":
                    job.storage.upload(_local(job, output), S3Uri.parse(output["S3Uri"]))

    def _lay_out(self, job: Job) -> None:
        config = job.base_dir / "config"
        config.mkdir()
        (config / "processingjobconfig.json").write_text(json.dumps(_job_config(job)))
        hosts = {"current_host": ALGO_HOST, "hosts": [ALGO_HOST]}
        (config / "resourceconfig.json").write_text(json.dumps(hosts))
        (job.base_dir / "output").mkdir()
        for output in _outputs(job.request):
            _local(job, output).mkdir(parents=True, exist_ok=True)
        for item in _inputs(job.request):
            job.go_on()
            folder = _local(job, item)
            folder.mkdir(parents=True, exist_ok=True)
            job.storage.download(job.storage.objects(item["S3DataType"], item["S3Uri"]), folder)

    def _keep_message(self, job: Job) -> None:
        path = job.base_dir / "output" / "message"
        if not path.is_file():
            return
        with path.open("rb") as file:
            content = file.read(MESSAGE_BYTES)
        try:
            # Not final: the cut may go through a character.
            message = codecs.getincrementaldecoder("utf-8")().decode(content)
        except UnicodeDecodeError as error:
            raise ClientFailure(f"The file {OPT_ML}/output/message is not UTF-8 text: {error}") from error
        self.records.update(job.name, ExitMessage=message)


def _inputs(request: Document) -> list[Document]:
    return list(values(request, "ProcessingInputs.S3Input"))


def _outputs(request: Document) -> list[Document]:
    return list(values(request, "ProcessingOutputConfig.Outputs.S3Output"))


def _local(job: Job, item: Document) -> Path:
    return job.base_dir / local_path(item["LocalPath"], PROCESSING_DIR)


def _job_config(job: Job) -> Document:
    request = job.request
    application = request["AppSpecification"]
    return {
        "ProcessingJobArn": job.arn,
        "ProcessingJobName": job.name,
        "AppSpecification": {"ContainerArguments": None, **application},
        "Environment": request.get("Environment", {}),
        "ProcessingInputs": [
            {"AppManaged": False, "DatasetDefinition": None, **item}
            for item in request.get("ProcessingInputs", [])
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {"AppManaged": False, "FeatureStoreOutput": None, **item}
                for item in values(request, "ProcessingOutputConfig.Outputs")
            ],
            "KmsKeyId": request.get("ProcessingOutputConfig", {}).get("KmsKeyId"),
        },
        "ProcessingResources": request["ProcessingResources"],
        "RoleArn": request["RoleArn"],
        "StoppingCondition": request.get("StoppingCondition", {"MaxRuntimeInSeconds": MAX_RUNTIME_SECONDS}),
    }
