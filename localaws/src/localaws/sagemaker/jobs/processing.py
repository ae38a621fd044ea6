"""Processing jobs."""

import codecs
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from localaws.runtimes.container import OPT_ML, ContainerSpec
from localaws.sagemaker.api.errors import ClientFailure, NotSupportedLocally
from localaws.sagemaker.api.members import refuse_others, values
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs import inputs
from localaws.sagemaker.jobs.continuous_upload import ContinuousUpload
from localaws.sagemaker.jobs.inputs import PROCESSING_DIR
from localaws.sagemaker.jobs.job import ENDED, MAX_RUNTIME_SECONDS, Job, Jobs, algorithm_failure, local_path
from localaws.sagemaker.platform.logs import LogStream
from localaws.sagemaker.platform.records import now
from localaws.sagemaker.platform.storage import S3Uri

MESSAGE_BYTES = 1024  # of ExitMessage

CLUSTER = "ProcessingResources.ClusterConfig"
# Members that have an effect, or are stored and returned by Describe; any other member is rejected.
HANDLED = (
    "ProcessingJobName",
    "RoleArn",
    "AppSpecification",
    "Environment",
    "ProcessingOutputConfig.Outputs.OutputName",
    "ProcessingOutputConfig.Outputs.S3Output",
    f"{CLUSTER}.InstanceCount",
    "StoppingCondition.MaxRuntimeInSeconds",
    "NetworkConfig.EnableNetworkIsolation",
    "Tags",
    *inputs.HANDLED,
)
# Accepted and ignored, since they only concern AWS's machines, networks, keys and experiment tracking. A job
# with EnableNetworkIsolation gets no credentials, but its process can still access the network.
WITHOUT_EFFECT = (
    f"{CLUSTER}.InstanceType",
    f"{CLUSTER}.VolumeSizeInGB",
    f"{CLUSTER}.VolumeKmsKeyId",
    "ProcessingOutputConfig.KmsKeyId",
    "NetworkConfig.VpcConfig",
    "NetworkConfig.EnableInterContainerTrafficEncryption",
    "ExperimentConfig",
    *inputs.WITHOUT_EFFECT,
)


@dataclass(frozen=True)
class Instance:
    """One container of a job.

    Attributes:
        host: the instance's host name, such as "algo-1".
        base_dir: the folder that is /opt/ml in the container.
    """

    host: str
    base_dir: Path

    def local(self, item: Document) -> Path:
        """Return the local folder of an output."""
        return self.base_dir / local_path(item["LocalPath"], PROCESSING_DIR)


class ProcessingJobs(Jobs):
    """Processing jobs: download the inputs, run a container per instance, upload the outputs."""

    kind = "ProcessingJob"
    arn_kind = "processing-job"

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this resource, by name."""
        return super().operations() | {"DeleteProcessingJob": self.delete}

    def check(self, request: Document) -> str:
        """Validate a CreateProcessingJob request and return the role's ARN."""
        refuse_others(request, (*HANDLED, *WITHOUT_EFFECT))
        if not {"ContainerEntrypoint", "ContainerArguments"} & request["AppSpecification"].keys():
            raise NotSupportedLocally(
                "An AppSpecification with neither ContainerEntrypoint nor ContainerArguments"
            )
        inputs.check(request)
        for item in _outputs(request):
            local_path(item.get("LocalPath", ""), PROCESSING_DIR)
            S3Uri.parse(item["S3Uri"])
        return str(request["RoleArn"])

    def status_members(self, status: str, record: Document) -> Document:
        """Return ProcessingEndTime when the job has ended."""
        return {"ProcessingEndTime": now()} if status in ENDED else {}

    def work(self, job: Job, log: LogStream) -> None:
        """Run the job; a job that fails or is stopped uploads no EndOfJob outputs."""
        job.prepare(job.request["AppSpecification"]["ImageUri"])
        instances = _instances(job)
        _create_folders(job, instances)
        outputs = _outputs(job.request)
        with ExitStack() as stack:
            logs = [log, *(stack.enter_context(self._log(job, instance)) for instance in instances[1:])]
            for instance, output in _instance_outputs(instances, outputs, "Continuous"):
                uri = S3Uri.parse(output["S3Uri"])
                stack.enter_context(ContinuousUpload(job.storage, instance.local(output), uri))
            self.records.update(job.name, ProcessingStartTime=now())
            codes = job.run_cluster(_specs(job, instances, logs))
            # Instances that failed come first; the sort keeps the order of the others.
            by_end = sorted(zip(codes, instances, strict=True), key=lambda ended: not ended[0])
            self._record_exit_message(job, [instance for _, instance in by_end])
        for code in codes:
            if code:
                raise algorithm_failure("", code)
        if None not in codes:
            for instance, output in _instance_outputs(instances, outputs, "EndOfJob"):
                job.storage.upload(instance.local(output), S3Uri.parse(output["S3Uri"]))

    def _log(self, job: Job, instance: Instance) -> LogStream:
        return self.platform.logs.open(f"/aws/sagemaker/{self.kind}s", job.stream_of(instance.host))

    def _record_exit_message(self, job: Job, instances: Sequence[Instance]) -> None:
        """Record the output/message file of the first instance that wrote one as ExitMessage."""
        paths = (instance.base_dir / "output" / "message" for instance in instances)
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            return
        with path.open("rb") as file:
            content = file.read(MESSAGE_BYTES)
        try:
            # An incremental decoder, since the limit in bytes can split a character.
            message = codecs.getincrementaldecoder("utf-8")().decode(content)
        except UnicodeDecodeError as error:
            raise ClientFailure(f"The file {OPT_ML}/output/message is not UTF-8 text: {error}") from error
        self.records.update(job.name, ExitMessage=message)


def _instances(job: Job) -> list[Instance]:
    count = job.request["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
    hosts = [f"algo-{number}" for number in range(1, count + 1)]
    return [Instance(host, job.base_dir / host) for host in hosts]


def _create_folders(job: Job, instances: Sequence[Instance]) -> None:
    """Create the instances' /opt/ml folders with configuration, inputs and empty output folders."""
    resolved = inputs.resolve(job)
    hosts = [instance.host for instance in instances]
    for index, instance in enumerate(instances):
        config = instance.base_dir / "config"
        config.mkdir(parents=True)
        (config / "processingjobconfig.json").write_text(json.dumps(_job_config(job)))
        resources = {"current_host": instance.host, "hosts": hosts}
        (config / "resourceconfig.json").write_text(json.dumps(resources))
        (instance.base_dir / "output").mkdir()
        for output in _outputs(job.request):
            instance.local(output).mkdir(parents=True, exist_ok=True)
        for item in resolved:
            job.raise_if_stopped()
            folder = instance.base_dir / item.folder
            folder.mkdir(parents=True, exist_ok=True)
            job.storage.download(item.share(index, len(instances)), folder)


def _specs(job: Job, instances: Sequence[Instance], logs: Sequence[LogStream]) -> list[ContainerSpec]:
    application = job.request["AppSpecification"]
    entrypoint = application.get("ContainerEntrypoint", ())
    command = application.get("ContainerArguments", ())
    isolated = job.request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
    environment = job.credentials(isolated) | job.request.get("Environment", {})
    return [
        ContainerSpec(application["ImageUri"], command, instance.base_dir, environment, log.write, entrypoint)
        for instance, log in zip(instances, logs, strict=True)
    ]


def _instance_outputs(
    instances: Sequence[Instance], outputs: Sequence[Document], mode: str
) -> list[tuple[Instance, Document]]:
    """Return every pair of an instance and an output with this S3UploadMode."""
    return [(one, output) for one in instances for output in outputs if output["S3UploadMode"] == mode]


def _outputs(request: Document) -> list[Document]:
    return list(values(request, "ProcessingOutputConfig.Outputs.S3Output"))


def _job_config(job: Job) -> Document:
    request = job.request
    application = request["AppSpecification"]
    return {
        "ProcessingJobArn": job.arn,
        "ProcessingJobName": job.name,
        "AppSpecification": {"ContainerArguments": None, "ContainerEntrypoint": None, **application},
        "Environment": request.get("Environment", {}),
        "ProcessingInputs": [inputs.container_config(item) for item in request.get("ProcessingInputs", [])],
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
