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
# What is acted on, or kept and shown; any other member is refused.
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
# Accepted, since they only say something about AWS's machines, networks, keys and bookkeeping. A job with
# EnableNetworkIsolation gets no credentials, but its process is not cut off from the network.
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
        host: its name, such as "algo-1".
        base_dir: what it sees as /opt/ml.
    """

    host: str
    base_dir: Path

    def local(self, item: Document) -> Path:
        """The folder of an output."""
        return self.base_dir / local_path(item["LocalPath"], PROCESSING_DIR)


class ProcessingJobs(Jobs):
    """Processing jobs: inputs down, a container on each instance, outputs up."""

    kind = "ProcessingJob"
    arn_kind = "processing-job"

    def operations(self) -> dict[str, Operation]:
        """Return the operations that this resource answers, by name."""
        return super().operations() | {"DeleteProcessingJob": self.delete}

    def check(self, request: Document) -> str:
        """Refuse what cannot be done; give the role's ARN."""
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
        """The end has its time."""
        return {"ProcessingEndTime": now()} if status in ENDED else {}

    def work(self, job: Job, log: LogStream) -> None:
        """Download, run the containers, upload; what fails or is stopped uploads no EndOfJob output."""
        job.prepare(job.request["AppSpecification"]["ImageUri"])
        instances = _instances(job)
        _lay_out(job, instances)
        outputs = _outputs(job.request)
        with ExitStack() as stack:
            logs = [log, *(stack.enter_context(self._log(job, instance)) for instance in instances[1:])]
            for instance, output in _each(instances, outputs, "Continuous"):
                uri = S3Uri.parse(output["S3Uri"])
                stack.enter_context(ContinuousUpload(job.storage, instance.local(output), uri))
            self.records.update(job.name, ProcessingStartTime=now())
            codes = job.run_cluster(_specs(job, instances, logs))
            # The one that failed speaks first; sorting keeps the others' order.
            by_end = sorted(zip(codes, instances, strict=True), key=lambda ended: not ended[0])
            self._keep_message(job, [instance for _, instance in by_end])
        for code in codes:
            if code:
                raise algorithm_failure("", code)
        if None not in codes:
            for instance, output in _each(instances, outputs, "EndOfJob"):
                job.storage.upload(instance.local(output), S3Uri.parse(output["S3Uri"]))

    def _log(self, job: Job, instance: Instance) -> LogStream:
        return self.platform.logs.open(f"/aws/sagemaker/{self.kind}s", job.stream_of(instance.host))

    def _keep_message(self, job: Job, instances: Sequence[Instance]) -> None:
        """Keep what the first of the instances that left a message says in it."""
        paths = (instance.base_dir / "output" / "message" for instance in instances)
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            return
        with path.open("rb") as file:
            content = file.read(MESSAGE_BYTES)
        try:
            # Not final: the cut may go through a character.
            message = codecs.getincrementaldecoder("utf-8")().decode(content)
        except UnicodeDecodeError as error:
            raise ClientFailure(f"The file {OPT_ML}/output/message is not UTF-8 text: {error}") from error
        self.records.update(job.name, ExitMessage=message)


def _instances(job: Job) -> list[Instance]:
    count = job.request["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
    hosts = [f"algo-{number}" for number in range(1, count + 1)]
    return [Instance(host, job.base_dir / host) for host in hosts]


def _lay_out(job: Job, instances: Sequence[Instance]) -> None:
    """Make the instances' folders as their containers find them, with the inputs in them."""
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


def _each(
    instances: Sequence[Instance], outputs: Sequence[Document], mode: str
) -> list[tuple[Instance, Document]]:
    """Every instance with every output of an S3UploadMode."""
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
        "ProcessingInputs": [inputs.described(item) for item in request.get("ProcessingInputs", [])],
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
