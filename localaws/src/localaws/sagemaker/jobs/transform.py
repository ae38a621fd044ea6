"""Batch transform jobs."""

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack

from localaws.sagemaker.api.errors import (
    AlgorithmFailure,
    ClientFailure,
    HostingError,
    NotSupportedLocally,
    PingHealthCheckFailed,
    ValidationException,
)
from localaws.sagemaker.api.members import refuse_others, refuse_values
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.hosting.model_server import GRACE_SECONDS, HEALTHY_SECONDS, ModelServer
from localaws.sagemaker.hosting.models import Models
from localaws.sagemaker.jobs.data_processing import DataProcessing
from localaws.sagemaker.jobs.job import ENDED, Job, Jobs
from localaws.sagemaker.jobs.transformation import LIMIT_MB, MB, PAYLOAD_MB, Instance, Plan, Transformation
from localaws.sagemaker.platform.logs import LogStream
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import now
from localaws.sagemaker.platform.storage import S3Object, S3Uri

PARAMETERS_SECONDS = 5.0
STOP_POLL_SECONDS = 2.0  # interval between two checks whether the job has to stop

# Members that have an effect, or are stored and returned by Describe; any other member is rejected.
HANDLED = (
    "TransformJobName",
    "ModelName",
    "MaxConcurrentTransforms",
    "ModelClientConfig",
    "MaxPayloadInMB",
    "BatchStrategy",
    "Environment",
    "TransformInput",
    "TransformOutput.S3OutputPath",
    "TransformOutput.Accept",
    "TransformOutput.AssembleWith",
    "TransformResources.InstanceCount",
    "DataProcessing",
    "Tags",
)
# Accepted and ignored, since they only concern AWS's machines, keys and experiment tracking.
WITHOUT_EFFECT = (
    "TransformResources.InstanceType",
    "TransformResources.VolumeKmsKeyId",
    "TransformResources.TransformAmiVersion",
    "TransformOutput.KmsKeyId",
    "ExperimentConfig",
)


class TransformJobs(Jobs):
    """Batch transform jobs: send every input object to a model's container and upload the predictions."""

    kind = "TransformJob"
    arn_kind = "transform-job"

    def __init__(self, platform: Platform, models: Models) -> None:
        super().__init__(platform)
        self._models = models

    def check(self, request: Document) -> str:
        """Validate a CreateTransformJob request and return the ARN of the model's role."""
        refuse_others(request, (*HANDLED, *WITHOUT_EFFECT))
        refuse_values(request, "TransformInput.SplitType", "RecordIO", "TFRecord")
        refuse_values(
            request, "TransformInput.DataSource.S3DataSource.S3DataType", "AugmentedManifestFile", "Converse"
        )
        payload, concurrent = request.get("MaxPayloadInMB"), request.get("MaxConcurrentTransforms") or 1
        if payload == 0:
            raise NotSupportedLocally("MaxPayloadInMB of 0, which means chunked requests,")
        if (payload or PAYLOAD_MB) * concurrent > LIMIT_MB:
            raise ValidationException(
                f"MaxConcurrentTransforms * MaxPayloadInMB must be at most {LIMIT_MB} MB"
            )
        S3Uri.parse(request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
        S3Uri.parse(request["TransformOutput"]["S3OutputPath"])
        DataProcessing.of(request, single=True)
        return str(self._models.get(request["ModelName"])["ExecutionRoleArn"])

    def status_members(self, status: str, record: Document) -> Document:
        """Return TransformEndTime when the job has ended."""
        return {"TransformEndTime": now()} if status in ENDED else {}

    def work(self, job: Job, log: LogStream) -> None:
        """Serve the model on every instance, each of which transforms its share of the objects.

        An object's output is uploaded when it is whole.
        """
        model = self._model(job)
        job.prepare(model["_Container"]["Image"])
        source = job.request["TransformInput"]["DataSource"]["S3DataSource"]
        objects = job.storage.objects(source["S3DataType"], source["S3Uri"])
        # An instance without objects would only start and stop.
        count = min(job.request["TransformResources"]["InstanceCount"], len(objects))
        hosts = [f"algo-{number}" for number in range(1, count + 1)]
        failed = threading.Event()
        with ExitStack() as stack, ThreadPoolExecutor(count, thread_name_prefix="instance") as pool:
            logs = [log, *(stack.enter_context(self._log(job.stream_of(host))) for host in hosts[1:])]
            instances = [
                pool.submit(
                    self._transform, Instance(job, model, host, stream, failed), objects[index::count]
                )
                for index, (host, stream) in enumerate(zip(hosts, logs, strict=True))
            ]
            try:
                failures = [failure for done in as_completed(instances) for failure in done.result()]
            finally:
                failed.set()
        if failures:
            raise failures[0]

    def _transform(self, instance: Instance, objects: Sequence[S3Object]) -> list[ClientFailure]:
        """Start a container and transform the objects; return the failures of single objects."""
        job = instance.job
        server = ModelServer(self.platform, instance.model, self.arn_kind, instance.log.write)
        try:
            server.start()
            _wait_healthy(instance, server)
            self._record_start(job.name)
            plan = Plan.of(job.request, _execution_parameters(server))
            with self._log(f"{job.stream_of(instance.host)}/data-log") as data_log:
                data_log.write(
                    f"[sagemaker logs]: MaxConcurrentTransforms={plan.max_concurrent}, "
                    f"MaxPayloadInMB={plan.payload_bytes // MB}, "
                    f"BatchStrategy={'SINGLE_RECORD' if plan.single else 'MULTI_RECORD'}"
                )
                return Transformation(instance, plan, server, data_log).run(objects)
        except PingHealthCheckFailed as error:
            raise AlgorithmFailure(f"The model's container failed its health check: {error}") from error
        except HostingError as error:
            raise ClientFailure(str(error)) from error
        finally:
            server.stop(min(job.grace, GRACE_SECONDS))

    def _record_start(self, name: str) -> None:
        """Record TransformStartTime when the first instance is healthy."""
        with self.records.lock:
            if "TransformStartTime" not in self.describe({f"{self.kind}Name": name}):
                self.records.update(name, TransformStartTime=now())

    def _log(self, stream: str) -> LogStream:
        return self.platform.logs.open(f"/aws/sagemaker/{self.kind}s", stream)

    def _model(self, job: Job) -> Document:
        model = self._models.get(job.request["ModelName"])
        container = model["_Container"]
        strategy = job.request.get("BatchStrategy", "MultiRecord")
        environment = {
            **container.get("Environment", {}),
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD" if strategy == "SingleRecord" else "MULTI_RECORD",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(job.request.get("MaxPayloadInMB", PAYLOAD_MB)),
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(job.request.get("MaxConcurrentTransforms") or 1),
            **job.request.get("Environment", {}),
        }
        return model | {"_Container": container | {"Environment": environment}}


def _wait_healthy(instance: Instance, server: ModelServer) -> None:
    deadline = time.monotonic() + HEALTHY_SECONDS
    while True:
        instance.raise_if_stopped()
        try:
            server.wait_healthy(STOP_POLL_SECONDS)
            return
        except PingHealthCheckFailed:
            if server.wait(0) is not None:
                raise
            if time.monotonic() > deadline:
                raise PingHealthCheckFailed(
                    f"GET /ping did not return 200 within {HEALTHY_SECONDS:g} seconds"
                ) from None


def _execution_parameters(server: ModelServer) -> Document:
    try:
        response = server.request("GET", "/execution-parameters", {}, None, PARAMETERS_SECONDS)
        parameters = json.loads(response.body) if response.status == 200 else {}
    except (OSError, ValueError):
        return {}
    return parameters if isinstance(parameters, dict) else {}
