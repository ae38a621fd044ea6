"""Training jobs."""

import json
import math
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path, PurePosixPath

from localaws.runtimes.container import OPT_ML
from localaws.sagemaker.archives import upload_archive
from localaws.sagemaker.continuous_upload import ContinuousUpload
from localaws.sagemaker.errors import FAILURE_REASON_CHARACTERS, ValidationException
from localaws.sagemaker.http import Operation
from localaws.sagemaker.jobs import ALGO_HOST, Job, Jobs, algorithm_failure, local_path
from localaws.sagemaker.logs import LogStream
from localaws.sagemaker.members import refuse, refuse_clusters, refuse_others, refuse_values, values
from localaws.sagemaker.metrics import Metrics
from localaws.sagemaker.records import now
from localaws.sagemaker.shapes import Document
from localaws.sagemaker.storage import S3Uri

CHECKPOINTS_PATH = f"{OPT_ML}/checkpoints"
INSTANCE_GROUP = "homogeneousCluster"

S3_SOURCE = "InputDataConfig.DataSource.S3DataSource"
# What is acted on, or kept and shown; any other member is refused.
HANDLED = (
    "TrainingJobName",
    "RoleArn",
    "HyperParameters",
    "Environment",
    "AlgorithmSpecification.TrainingImage",
    "AlgorithmSpecification.TrainingInputMode",
    "AlgorithmSpecification.MetricDefinitions",
    "AlgorithmSpecification.ContainerEntrypoint",
    "AlgorithmSpecification.ContainerArguments",
    "InputDataConfig.ChannelName",
    f"{S3_SOURCE}.S3DataType",
    f"{S3_SOURCE}.S3Uri",
    "InputDataConfig.ContentType",
    "InputDataConfig.CompressionType",
    "InputDataConfig.RecordWrapperType",
    "InputDataConfig.InputMode",
    "OutputDataConfig.S3OutputPath",
    "OutputDataConfig.CompressionType",
    "ResourceConfig.InstanceCount",
    "StoppingCondition.MaxRuntimeInSeconds",
    "EnableNetworkIsolation",
    "CheckpointConfig",
    "Tags",
)
OF_TUNING = ("TuningJobArn",)  # no member of a caller's: a tuning job adds it to its training jobs' requests
# Accepted, since they only say something about AWS's machines, networks, keys, tools and bookkeeping. A job
# with EnableNetworkIsolation gets no credentials, but its process is not cut off from the network; the input
# mode FastFile downloads like File.
WITHOUT_EFFECT = (
    "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries",
    "AlgorithmSpecification.TrainingImageConfig",
    f"{S3_SOURCE}.S3DataDistributionType",
    "InputDataConfig.ShuffleConfig",
    "OutputDataConfig.KmsKeyId",
    "ResourceConfig.InstanceType",
    "ResourceConfig.VolumeSizeInGB",
    "ResourceConfig.VolumeKmsKeyId",
    "ResourceConfig.KeepAlivePeriodInSeconds",
    "ResourceConfig.InstancePlacementConfig",
    "VpcConfig",
    "StoppingCondition.MaxWaitTimeInSeconds",
    "StoppingCondition.MaxPendingTimeInSeconds",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "DebugHookConfig",
    "ProfilerConfig",
    "ExperimentConfig",
    "RetryStrategy",
    "RemoteDebugConfig",
    "InfraCheckConfig",
    "SessionChainingConfig",
)
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class TrainingJobs(Jobs):
    """Training jobs: channels down, `train`, the model up."""

    noun = "TrainingJob"
    arn_kind = "training-job"

    def operations(self) -> dict[str, Operation]:
        """The operations that this noun answers."""
        return super().operations() | {"DeleteTrainingJob": self.delete}

    def describe(self, request: Document) -> Document:
        """A job as it is now; without a key of the caller's, KmsKeyId is empty and not absent, as on AWS."""
        record = super().describe(request)
        return record | {"OutputDataConfig": {"KmsKeyId": "", **record["OutputDataConfig"]}}

    def list(self, request: Document) -> Document:
        """Jobs by name, status and time."""
        refuse(request, "WarmPoolStatusEquals", "TrainingPlanArnEquals")
        return super().list(request)

    def check(self, request: Document) -> str:
        """Refuse what cannot be done; give the role's ARN."""
        refuse_others(request, (*HANDLED, *WITHOUT_EFFECT, *OF_TUNING))
        refuse_clusters(request, "ResourceConfig.InstanceCount")
        refuse_values(request, "AlgorithmSpecification.TrainingInputMode", "Pipe")
        refuse_values(request, "InputDataConfig.InputMode", "Pipe")
        refuse_values(request, "InputDataConfig.RecordWrapperType", "RecordIO")
        refuse_values(request, f"{S3_SOURCE}.S3DataType", "AugmentedManifestFile", "Converse")
        if "Gzip" in values(request, "InputDataConfig.CompressionType"):
            raise ValidationException("CompressionType Gzip can only be used with the input mode Pipe")
        if not request.get("AlgorithmSpecification", {}).get("TrainingImage"):
            raise ValidationException("AlgorithmSpecification needs a TrainingImage")
        names = list(values(request, "InputDataConfig.ChannelName"))
        if len(set(names)) < len(names):
            raise ValidationException(f"The channels' names have to be unique, and are {', '.join(names)}")
        if {".", ".."} & set(names):
            raise ValidationException(
                f"A channel's name has to be one of a folder of its own: {', '.join(names)}"
            )
        if len(list(values(request, S3_SOURCE))) < len(names):
            raise ValidationException("Every channel's DataSource needs an S3DataSource")
        for uri in (*values(request, f"{S3_SOURCE}.S3Uri"), request["OutputDataConfig"]["S3OutputPath"]):
            S3Uri.parse(uri)
        if "CheckpointConfig" in request:
            S3Uri.parse(request["CheckpointConfig"]["S3Uri"])
            _checkpoints_path(request["CheckpointConfig"])
        Metrics(request["AlgorithmSpecification"].get("MetricDefinitions", []))
        return str(request["RoleArn"])

    def status_members(self, status: str, record: Document) -> Document:
        """The secondary status moves along, and the end has its time."""
        if status == "InProgress":
            return _entered(record, "Starting")
        if status == "Stopping":
            return _entered(record, "Stopping")
        timed_out = status == "Stopped" and record["_TimedOut"]
        moved = _entered(record, "MaxRuntimeExceeded" if timed_out else status)
        end: datetime = now()
        moved["SecondaryStatusTransitions"][-1]["EndTime"] = end
        if "TrainingStartTime" in record:
            seconds = math.ceil((end - record["TrainingStartTime"]).total_seconds())
            moved |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": max(1, seconds)}
        return moved | {"TrainingEndTime": end}

    def work(self, job: Job, log: LogStream) -> None:
        """Train between downloads and uploads; what was stopped uploads its model too, as on AWS."""
        request = job.request
        algorithm = request["AlgorithmSpecification"]
        job.prepare(algorithm["TrainingImage"])
        self._enter(job, "Downloading", TrainingStartTime=now())
        _write_config(job)
        _download(job)
        job.go_on()
        metrics = Metrics(algorithm.get("MetricDefinitions", []))
        self.records.update(job.name, _Metrics=metrics)

        def on_line(line: str) -> None:
            log.write(line)
            metrics.read(line)

        with ExitStack() as uploads:
            if "CheckpointConfig" in request:
                folder, uri = _checkpoints(job)
                uploads.enter_context(ContinuousUpload(job.storage, folder, uri))
            self._enter(job, "Training")
            code = job.run(
                algorithm["TrainingImage"],
                _command(algorithm),
                _environment(job),
                on_line,
            )
            if metrics.final():
                self.records.update(job.name, FinalMetricDataList=metrics.final())
        if code:
            raise algorithm_failure(_told_failure(job), code)
        self._enter(job, "Uploading")
        self._upload(job)

    def _enter(self, job: Job, secondary: str, **members: datetime) -> None:
        with self.records.lock:
            record = self.describe({"TrainingJobName": job.name})
            self.records.update(job.name, **_entered(record, secondary), **members)

    def _upload(self, job: Job) -> None:
        output = S3Uri.parse(job.request["OutputDataConfig"]["S3OutputPath"]) / f"{job.name}/output"
        data = job.base_dir / "output" / "data"
        if any(data.iterdir()):
            upload_archive(job.storage, data, output / "output.tar.gz")
        model = job.base_dir / "model"
        if not any(model.iterdir()):
            return  # no artifact: the job did not write one
        if job.request["OutputDataConfig"].get("CompressionType") == "NONE":
            artifact = output / "model/"
            job.storage.upload(model, artifact)
        else:
            artifact = output / "model.tar.gz"
            upload_archive(job.storage, model, artifact)
        self.records.update(job.name, ModelArtifacts={"S3ModelArtifacts": str(artifact)})


def _entered(record: Document, secondary: str) -> Document:
    moment = now()
    transitions = [dict(item) for item in record.get("SecondaryStatusTransitions", [])]
    if transitions:
        transitions[-1].setdefault("EndTime", moment)
    transitions.append({"Status": secondary, "StartTime": moment, "StatusMessage": _MESSAGES[secondary]})
    return {"SecondaryStatus": secondary, "SecondaryStatusTransitions": transitions}


def _command(algorithm: Document) -> tuple[str, ...]:
    entrypoint = tuple(algorithm.get("ContainerEntrypoint", ()))
    arguments = tuple(algorithm.get("ContainerArguments", ()))
    return (*entrypoint, *arguments) if entrypoint else (arguments or ("train",))


def _environment(job: Job) -> dict[str, str]:
    return {
        **job.credentials(job.request.get("EnableNetworkIsolation", False)),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        **job.request.get("Environment", {}),
    }


def _told_failure(job: Job) -> str:
    path = job.base_dir / "output" / "failure"
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(FAILURE_REASON_CHARACTERS)


def _write_config(job: Job) -> None:
    request = job.request
    for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
        (job.base_dir / folder).mkdir(parents=True)
    mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    instance_type = request.get("ResourceConfig", {}).get("InstanceType")
    documents = {
        "hyperparameters": request.get("HyperParameters", {}),
        "inputdataconfig": {
            channel["ChannelName"]: {
                "TrainingInputMode": channel.get("InputMode", mode),
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": "None",
                **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
            }
            for channel in request.get("InputDataConfig", [])
        },
        "resourceconfig": {
            "current_host": ALGO_HOST,
            "current_instance_type": instance_type,
            "current_group_name": INSTANCE_GROUP,
            "hosts": [ALGO_HOST],
            "instance_groups": [
                {"instance_group_name": INSTANCE_GROUP, "instance_type": instance_type, "hosts": [ALGO_HOST]}
            ],
            "network_interface_name": "lo",  # the one host talks to itself only
        },
    }
    for name, document in documents.items():
        (job.base_dir / "input" / "config" / f"{name}.json").write_text(json.dumps(document))


def _download(job: Job) -> None:
    for channel in job.request.get("InputDataConfig", []):
        job.go_on()
        folder = job.base_dir / "input" / "data" / channel["ChannelName"]
        folder.mkdir()
        source = channel["DataSource"]["S3DataSource"]
        job.storage.download(job.storage.objects(source["S3DataType"], source["S3Uri"]), folder)


def _checkpoints(job: Job) -> tuple[Path, S3Uri]:
    config = job.request["CheckpointConfig"]
    folder = job.base_dir / _checkpoints_path(config)
    folder.mkdir(parents=True, exist_ok=True)
    # A prefix: "run" must not find what lies under "run-2".
    uri = S3Uri.parse(config["S3Uri"].rstrip("/") + "/")
    job.storage.download(job.storage.listed(uri), folder)
    return folder, uri


def _checkpoints_path(config: Document) -> PurePosixPath:
    return local_path(config.get("LocalPath", CHECKPOINTS_PATH), OPT_ML)
