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
from localaws.sagemaker.jobs.training_instances import Instance, instance_names, lay_out, merged
from localaws.sagemaker.platform.archives import upload_archive
from localaws.sagemaker.platform.logs import LogStream
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import now
from localaws.sagemaker.platform.storage import S3Uri

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
OF_TUNING = ("TuningJobArn",)  # no member of a caller's: a tuning job adds it to its training jobs' requests
# Accepted, since they only say something about AWS's machines, networks, keys, tools and bookkeeping. A job
# with EnableNetworkIsolation gets no credentials, but its process is not cut off from the network; the input
# mode FastFile downloads like File.
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
    """Training jobs: channels down, `train` on each instance, the model up.

    Args:
        platform: what they run on.
        interruption: seconds after which a job on Spot instances is interrupted, once; None for never.
    """

    kind = "TrainingJob"
    arn_kind = "training-job"

    def __init__(self, platform: Platform, interruption: float | None = None) -> None:
        super().__init__(platform)
        self._interruption = interruption

    def operations(self) -> dict[str, Operation]:
        """Return the operations that this resource answers, by name."""
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
        checkpoints.check(request)
        _check_wait(request)
        Metrics(request["AlgorithmSpecification"].get("MetricDefinitions", []))
        return str(request["RoleArn"])

    def status_members(self, status: str, record: Document) -> Document:
        """The secondary status moves along, and the end has its time."""
        if status == "InProgress":
            return _entered(record, "Starting")
        if status == "Stopping":
            return _entered(record, "Stopping")
        stopped_by = record["_Job"].exceeded if status == "Stopped" else ""
        moved = _entered(record, _EXCEEDED.get(stopped_by, status))
        end: datetime = now()
        moved["SecondaryStatusTransitions"][-1]["EndTime"] = end
        if "TrainingStartTime" in record:
            seconds = math.ceil(_seconds_on_instances(moved["SecondaryStatusTransitions"]))
            # In full: here nobody knows what Spot capacity would have cost.
            moved |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": max(1, seconds)}
        return moved | {"TrainingEndTime": end}

    def work(self, job: Job, log: LogStream) -> None:
        """Train between downloads and uploads; what was stopped uploads its model too, as on AWS."""
        request = job.request
        algorithm = request["AlgorithmSpecification"]
        job.limits = _limits(request)
        job.interruption = self._interruption if request.get("EnableManagedSpotTraining") else None
        job.prepare(algorithm["TrainingImage"])
        metrics = Metrics(algorithm.get("MetricDefinitions", []))
        self.records.update(job.name, _Metrics=metrics)

        def reader(log: LogStream) -> Callable[[str], None]:
            def on_line(line: str) -> None:
                log.write(line)
                metrics.read(line)

            return on_line

        with ExitStack() as stack:
            others = (stack.enter_context(self._log(job, host)) for host in instance_names(job)[1:])
            lines = [reader(log), *map(reader, others)]
            instances, codes = self._train(job, lines, TrainingStartTime=now())
            while job.interrupted:
                self._enter(job, "Interrupted")
                job.raise_if_stopped()
                job.interruption = None
                self.renew_base_dir(job)
                self._enter(job, "Starting")
                instances, codes = self._train(job, lines)
        if metrics.final():
            self.records.update(job.name, FinalMetricDataList=metrics.final())
        for instance, code in zip(instances, codes, strict=True):
            if code:
                raise algorithm_failure(instance.failure, code)
        self._enter(job, "Uploading")
        self._upload(job, instances)

    def _train(
        self, job: Job, lines: Sequence[Callable[[str], None]], **members: datetime
    ) -> tuple[Sequence[Instance], Sequence[int | None]]:
        """Run the containers on instances that have seen nothing yet; their exit codes, None without one."""
        self._enter(job, "Downloading", **members)
        instances = lay_out(job)
        job.raise_if_stopped()
        algorithm = job.request["AlgorithmSpecification"]
        with ExitStack() as stack:
            for instance in instances:
                stack.enter_context(checkpoints.kept(job, instance.base_dir))
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
            self._enter(job, "Training")
            return instances, job.run_cluster(specs)

    def _log(self, job: Job, name: str) -> AbstractContextManager[LogStream]:
        return self.platform.logs.open(f"/aws/sagemaker/{self.kind}s", job.stream_of(name))

    def _enter(self, job: Job, secondary: str, **members: datetime) -> None:
        with self.records.lock:
            record = self.describe({"TrainingJobName": job.name})
            self.records.update(job.name, **_entered(record, secondary), **members)

    def _upload(self, job: Job, instances: Sequence[Instance]) -> None:
        output = S3Uri.parse(job.request["OutputDataConfig"]["S3OutputPath"]) / f"{job.name}/output"
        data = merged(job, instances, "output/data")
        if any(data.iterdir()):
            upload_archive(job.storage, data, output / "output.tar.gz")
        model = merged(job, instances, "model")
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


def _check_wait(request: Document) -> None:
    """Make sure that MaxWaitTimeInSeconds is there for Spot instances, long enough, and only for them.

    Raises:
        ValidationException: it is not.
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
    """What the entry point is given: the image's own runs `train` unless it is told otherwise."""
    arguments = tuple(algorithm.get("ContainerArguments", ()))
    return arguments if arguments or "ContainerEntrypoint" in algorithm else ("train",)


def _environment(job: Job) -> dict[str, str]:
    return {
        **job.credentials(job.request.get("EnableNetworkIsolation", False)),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        **job.request.get("Environment", {}),
    }
