"""Training jobs."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta

from localaws.runtimes.container import ContainerSpec
from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.members import refuse, refuse_others, refuse_values, values
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.jobs import checkpoints
from localaws.sagemaker.jobs.job import MAX_RUNTIME_SECONDS, Job, Jobs, algorithm_failure
from localaws.sagemaker.jobs.metrics import Metrics
from localaws.sagemaker.jobs.training_instances import (
    Instance,
    create_instances,
    instance_names,
    merge_folders,
)
from localaws.sagemaker.platform.archives import upload_archive
from localaws.sagemaker.platform.logs import LogStream
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import now
from localaws.sagemaker.platform.storage import S3Uri

S3_SOURCE = "InputDataConfig.DataSource.S3DataSource"
# Members that have an effect, or are stored and returned by Describe; any other member is rejected.
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
    f"{S3_SOURCE}.S3DataDistributionType",
    "InputDataConfig.ContentType",
    "InputDataConfig.CompressionType",
    "InputDataConfig.RecordWrapperType",
    "InputDataConfig.InputMode",
    "OutputDataConfig.S3OutputPath",
    "OutputDataConfig.CompressionType",
    "ResourceConfig.InstanceCount",
    "StoppingCondition.MaxRuntimeInSeconds",
    "StoppingCondition.MaxWaitTimeInSeconds",
    "EnableManagedSpotTraining",
    "EnableNetworkIsolation",
    "CheckpointConfig",
    "Tags",
)
ADDED_BY_TUNING = (
    "TuningJobArn",
)  # not in the public API: a tuning job adds it to its training jobs' requests
# Accepted and ignored, since they only concern AWS's machines, networks, keys, debugging tools and experiment
# tracking. A job with EnableNetworkIsolation gets no credentials, but its process can still access the
# network. The input mode FastFile downloads like File.
WITHOUT_EFFECT = (
    "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries",
    "AlgorithmSpecification.TrainingImageConfig",
    "InputDataConfig.ShuffleConfig",
    "OutputDataConfig.KmsKeyId",
    "ResourceConfig.InstanceType",
    "ResourceConfig.VolumeSizeInGB",
    "ResourceConfig.VolumeKmsKeyId",
    "ResourceConfig.KeepAlivePeriodInSeconds",
    "ResourceConfig.InstancePlacementConfig",
    "VpcConfig",
    "StoppingCondition.MaxPendingTimeInSeconds",
    "EnableInterContainerTrafficEncryption",
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
    "Interrupted": "Training job interrupted: the Spot instances were taken away",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job waited longer than MaxWaitTimeInSeconds provided",
}
_EXCEEDED = {"MaxRuntimeInSeconds": "MaxRuntimeExceeded", "MaxWaitTimeInSeconds": "MaxWaitTimeExceeded"}
_WITHOUT_INSTANCES = ("Starting", "Interrupted")


class TrainingJobs(Jobs):
    """Training jobs: download the channels, run `train` per instance, upload the model.

    Args:
        platform: the platform that the jobs run on.
        interruption: seconds after which a job on Spot instances is interrupted, once; None for never.
    """

    kind = "TrainingJob"
    arn_kind = "training-job"

    def __init__(self, platform: Platform, interruption: float | None = None) -> None:
        super().__init__(platform)
        self._interruption = interruption

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this resource, by name."""
        return super().operations() | {"DeleteTrainingJob": self.delete}

    def describe(self, request: Document) -> Document:
        """Return a job's record; without a KMS key, KmsKeyId is empty and not absent, as on AWS."""
        record = super().describe(request)
        return record | {"OutputDataConfig": {"KmsKeyId": "", **record["OutputDataConfig"]}}

    def list(self, request: Document) -> Document:
        """Return a page of jobs, filtered by name, status and time."""
        refuse(request, "WarmPoolStatusEquals", "TrainingPlanArnEquals")
        return super().list(request)

    def check(self, request: Document) -> str:
        """Validate a CreateTrainingJob request and return the role's ARN."""
        refuse_others(request, (*HANDLED, *WITHOUT_EFFECT, *ADDED_BY_TUNING))
        refuse_values(request, "AlgorithmSpecification.TrainingInputMode", "Pipe")
        refuse_values(request, "InputDataConfig.InputMode", "Pipe")
        refuse_values(request, "InputDataConfig.RecordWrapperType", "RecordIO")
        refuse_values(request, f"{S3_SOURCE}.S3DataType", "AugmentedManifestFile", "Converse")
        if "Gzip" in values(request, "InputDataConfig.CompressionType"):
            raise ValidationException("CompressionType Gzip can only be used with the input mode Pipe")
        if not request.get("AlgorithmSpecification", {}).get("TrainingImage"):
            raise ValidationException("AlgorithmSpecification requires a TrainingImage")
        names = list(values(request, "InputDataConfig.ChannelName"))
        if len(set(names)) < len(names):
            raise ValidationException(f"Channel names must be unique, not {', '.join(names)}")
        if {".", ".."} & set(names):
            raise ValidationException(
                f"A channel name must be a valid folder name, not '.' or '..': {', '.join(names)}"
            )
        if len(list(values(request, S3_SOURCE))) < len(names):
            raise ValidationException("The DataSource of every channel requires an S3DataSource")
        for uri in (*values(request, f"{S3_SOURCE}.S3Uri"), request["OutputDataConfig"]["S3OutputPath"]):
            S3Uri.parse(uri)
        checkpoints.check(request)
        _check_wait(request)
        Metrics(request["AlgorithmSpecification"].get("MetricDefinitions", []))
        return str(request["RoleArn"])

    def status_members(self, status: str, record: Document) -> Document:
        """Return SecondaryStatus and its transitions; at the end also the times."""
        if status == "InProgress":
            return _with_secondary_status(record, "Starting")
        if status == "Stopping":
            return _with_secondary_status(record, "Stopping")
        stopped_by = record["_Job"].exceeded if status == "Stopped" else ""
        changes = _with_secondary_status(record, _EXCEEDED.get(stopped_by, status))
        end: datetime = now()
        changes["SecondaryStatusTransitions"][-1]["EndTime"] = end
        if "TrainingStartTime" in record:
            seconds = math.ceil(_seconds_on_instances(changes["SecondaryStatusTransitions"]))
            # Billable equals training time: Spot savings are not emulated.
            changes |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": max(1, seconds)}
        return changes | {"TrainingEndTime": end}

    def work(self, job: Job, log: LogStream) -> None:
        """Run the job; a stopped job uploads its model too, as on AWS."""
        request = job.request
        algorithm = request["AlgorithmSpecification"]
        job.limits = _limits(request)
        job.interruption = self._interruption if request.get("EnableManagedSpotTraining") else None
        job.prepare(algorithm["TrainingImage"])
        metrics = Metrics(algorithm.get("MetricDefinitions", []))
        self.records.update(job.name, _Metrics=metrics)

        def line_handler(log: LogStream) -> Callable[[str], None]:
            def on_line(line: str) -> None:
                log.write(line)
                metrics.read(line)

            return on_line

        with ExitStack() as stack:
            others = (stack.enter_context(self._log(job, host)) for host in instance_names(job)[1:])
            lines = [line_handler(log), *map(line_handler, others)]
            instances, codes = self._train(job, lines, TrainingStartTime=now())
            while job.interrupted:
                self._set_secondary_status(job, "Interrupted")
                job.raise_if_stopped()
                job.interruption = None
                self.renew_base_dir(job)
                self._set_secondary_status(job, "Starting")
                instances, codes = self._train(job, lines)
        if metrics.final():
            self.records.update(job.name, FinalMetricDataList=metrics.final())
        for instance, code in zip(instances, codes, strict=True):
            if code:
                raise algorithm_failure(instance.failure, code)
        self._set_secondary_status(job, "Uploading")
        self._upload(job, instances)

    def _train(
        self, job: Job, lines: Sequence[Callable[[str], None]], **members: datetime
    ) -> tuple[Sequence[Instance], Sequence[int | None]]:
        """Run the containers on new instances; return the instances and their exit codes, None if stopped."""
        self._set_secondary_status(job, "Downloading", **members)
        instances = create_instances(job)
        job.raise_if_stopped()
        algorithm = job.request["AlgorithmSpecification"]
        with ExitStack() as stack:
            for instance in instances:
                stack.enter_context(checkpoints.synchronized(job, instance.base_dir))
            specs = [
                ContainerSpec(
                    algorithm["TrainingImage"],
                    _command(algorithm),
                    instance.base_dir,
                    _environment(job),
                    on_line,
                    algorithm.get("ContainerEntrypoint", ()),
                )
                for instance, on_line in zip(instances, lines, strict=True)
            ]
            self._set_secondary_status(job, "Training")
            return instances, job.run_cluster(specs)

    def _log(self, job: Job, name: str) -> AbstractContextManager[LogStream]:
        return self.platform.logs.open(f"/aws/sagemaker/{self.kind}s", job.stream_of(name))

    def _set_secondary_status(self, job: Job, secondary: str, **members: datetime) -> None:
        with self.records.lock:
            record = self.describe({"TrainingJobName": job.name})
            self.records.update(job.name, **_with_secondary_status(record, secondary), **members)

    def _upload(self, job: Job, instances: Sequence[Instance]) -> None:
        output = S3Uri.parse(job.request["OutputDataConfig"]["S3OutputPath"]) / f"{job.name}/output"
        data = merge_folders(job, instances, "output/data")
        if any(data.iterdir()):
            upload_archive(job.storage, data, output / "output.tar.gz")
        model = merge_folders(job, instances, "model")
        if not any(model.iterdir()):
            return  # the job wrote no model, so it has no ModelArtifacts
        if job.request["OutputDataConfig"].get("CompressionType") == "NONE":
            artifact = output / "model/"
            job.storage.upload(model, artifact)
        else:
            artifact = output / "model.tar.gz"
            upload_archive(job.storage, model, artifact)
        self.records.update(job.name, ModelArtifacts={"S3ModelArtifacts": str(artifact)})


def _with_secondary_status(record: Document, secondary: str) -> Document:
    moment = now()
    transitions = [dict(item) for item in record.get("SecondaryStatusTransitions", [])]
    if transitions:
        transitions[-1].setdefault("EndTime", moment)
    transitions.append({"Status": secondary, "StartTime": moment, "StatusMessage": _MESSAGES[secondary]})
    return {"SecondaryStatus": secondary, "SecondaryStatusTransitions": transitions}


def _check_wait(request: Document) -> None:
    """Validate MaxWaitTimeInSeconds: required for Spot training, at least MaxRuntimeInSeconds.

    Raises:
        ValidationException: it is missing or too short, or set without EnableManagedSpotTraining.
    """
    condition: Document = request.get("StoppingCondition", {})
    wait = condition.get("MaxWaitTimeInSeconds")
    invalid = "Invalid MaxWaitTimeInSeconds. It "
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise ValidationException(
                f"{invalid}is only supported when EnableManagedSpotTraining is set to true"
            )
    elif wait is None or wait < condition.get("MaxRuntimeInSeconds", MAX_RUNTIME_SECONDS):
        raise ValidationException(
            f"{invalid}must be present and be greater than or equal to MaxRuntimeInSeconds"
        )


def _limits(request: Document) -> dict[str, float]:
    name = "MaxWaitTimeInSeconds"
    seconds = request.get("StoppingCondition", {}).get(name)
    return {} if seconds is None else {name: time.monotonic() + seconds}


def _seconds_on_instances(transitions: list[Document]) -> float:
    spans: list[timedelta] = [
        item["EndTime"] - item["StartTime"]
        for item in transitions
        if item["Status"] not in _WITHOUT_INSTANCES
    ]
    return sum(spans, timedelta()).total_seconds()


def _command(algorithm: Document) -> tuple[str, ...]:
    """Return the container's arguments; `train` if the request has neither entry point nor arguments."""
    arguments = tuple(algorithm.get("ContainerArguments", ()))
    return arguments if arguments or "ContainerEntrypoint" in algorithm else ("train",)


def _environment(job: Job) -> dict[str, str]:
    return {
        **job.credentials(job.request.get("EnableNetworkIsolation", False)),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        **job.request.get("Environment", {}),
    }
