"""Batch transform jobs."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, cast

from localaws.sagemaker.association import Association
from localaws.sagemaker.batching import batches, in_order, lines, whole
from localaws.sagemaker.errors import (
    AlgorithmFailure,
    ClientFailure,
    HostingError,
    NotSupportedLocally,
    PingHealthCheckFailed,
    ValidationException,
)
from localaws.sagemaker.hosting import GRACE_SECONDS, HEALTHY_SECONDS, ContainerAnswer, ModelServer
from localaws.sagemaker.jobs import ENDED, POLL_SECONDS, Job, Jobs, JobStopped, algorithm_failure
from localaws.sagemaker.logs import LogStream
from localaws.sagemaker.members import refuse, refuse_clusters, refuse_values
from localaws.sagemaker.models import Models
from localaws.sagemaker.platform import Platform
from localaws.sagemaker.records import now
from localaws.sagemaker.shapes import Document
from localaws.sagemaker.storage import S3Object, S3Uri

MB = 1 << 20
PAYLOAD_MB = 6  # SageMaker's default
LIMIT_MB = 100  # of a payload, and of all payloads under way
INVOCATION_SECONDS = 600  # SageMaker's default
RETRIES = 3  # SageMaker's default
RETRY_SECONDS = 0.5  # before the first retry; it doubles
PARAMETERS_SECONDS = 5.0
LOOK_SECONDS = 2.0  # between two looks at whether the job is to stop
WINDOW = 2  # requests prepared for each one under way
TOLD_CHARACTERS = 500  # of a container's error answer

REFUSED = ("DataCaptureConfig",)
# Accepted, since they only say something about AWS's machines, keys and bookkeeping.
WITHOUT_EFFECT = (
    "TransformResources.InstanceType",
    "TransformResources.VolumeKmsKeyId",
    "TransformResources.TransformAmiVersion",
    "TransformOutput.KmsKeyId",
    "ExperimentConfig",
)


@dataclass(frozen=True)
class Batch:
    """One request's records: none to mark that an object begins; or why the object cannot be read on."""

    source: S3Object
    records: list[bytes]
    failure: ClientFailure | None = None


@dataclass(frozen=True)
class Plan:
    """How requests are made; what the job leaves open, the container may say."""

    max_concurrent: int
    payload_bytes: int
    single: bool

    @classmethod
    def of(cls, request: Document, told: Document) -> "Plan":
        """The job's settings, then the container's, then SageMaker's own."""
        strategy = request.get("BatchStrategy") or _camel(told.get("BatchStrategy", "MULTI_RECORD"))
        concurrent = request.get("MaxConcurrentTransforms") or int(told.get("MaxConcurrentTransforms", 1))
        payload = request.get("MaxPayloadInMB") or int(told.get("MaxPayloadInMB", PAYLOAD_MB))
        payload = min(max(1, payload), LIMIT_MB)
        return cls(min(max(1, concurrent), LIMIT_MB // payload), payload * MB, strategy == "SingleRecord")


class TransformJobs(Jobs):
    """Batch transform jobs: every object of the input through a model's container."""

    noun = "TransformJob"
    arn_kind = "transform-job"

    def __init__(self, platform: Platform, models: Models) -> None:
        super().__init__(platform)
        self._models = models

    def check(self, request: Document) -> str:
        """Refuse what cannot be done; give the ARN of the model's role."""
        refuse(request, *REFUSED)
        refuse_clusters(request, "TransformResources.InstanceCount")
        refuse_values(request, "TransformInput.SplitType", "RecordIO", "TFRecord")
        refuse_values(
            request, "TransformInput.DataSource.S3DataSource.S3DataType", "AugmentedManifestFile", "Converse"
        )
        payload, concurrent = request.get("MaxPayloadInMB"), request.get("MaxConcurrentTransforms") or 1
        if payload == 0:
            raise NotSupportedLocally("MaxPayloadInMB of 0, which means chunked requests,")
        if (payload or PAYLOAD_MB) * concurrent > LIMIT_MB:
            raise ValidationException(
                f"MaxConcurrentTransforms * MaxPayloadInMB has to be at most {LIMIT_MB} MB"
            )
        S3Uri.parse(request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
        S3Uri.parse(request["TransformOutput"]["S3OutputPath"])
        Association.of(request, single=True)
        return str(self._models.get(request["ModelName"])["ExecutionRoleArn"])

    def status_members(self, status: str, record: Document) -> Document:
        """The end has its time."""
        return {"TransformEndTime": now()} if status in ENDED else {}

    def work(self, job: Job, log: LogStream) -> None:
        """Serve the model and send it every object; an object's output is uploaded when it is whole."""
        model = self._model(job)
        job.prepare(model["_Container"]["Image"])
        source = job.request["TransformInput"]["DataSource"]["S3DataSource"]
        objects = job.storage.objects(source["S3DataType"], source["S3Uri"])
        server = ModelServer(self.platform, model, self.arn_kind, log.write)
        data_log = self.platform.logs.open(f"/aws/sagemaker/{self.noun}s", f"{job.stream}/data-log")
        try:
            server.start()
            _wait_healthy(job, server)
            self.records.update(job.name, TransformStartTime=now())
            plan = Plan.of(job.request, _execution_parameters(server))
            with data_log as told:
                told.write(
                    f"[sagemaker logs]: MaxConcurrentTransforms={plan.max_concurrent}, "
                    f"MaxPayloadInMB={plan.payload_bytes // MB}, "
                    f"BatchStrategy={'SINGLE_RECORD' if plan.single else 'MULTI_RECORD'}"
                )
                Transformation(job, plan, server, told).run(objects)
        except PingHealthCheckFailed as error:
            raise AlgorithmFailure(f"The model's container does not serve: {error}") from error
        except HostingError as error:
            raise ClientFailure(str(error)) from error
        finally:
            server.stop(min(job.grace, GRACE_SECONDS))

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


class Transformation:
    """The objects' way through the container: downloaded, cut, asked, put together, uploaded."""

    def __init__(self, job: Job, plan: Plan, server: ModelServer, told: LogStream) -> None:
        self._job = job
        self._plan = plan
        self._server = server
        self._told = told
        self._input: Document = job.request["TransformInput"]
        self._output: Document = job.request["TransformOutput"]
        self._by_line = self._input.get("SplitType") == "Line"
        self._association = Association.of(job.request, single=plan.single or not self._by_line)
        self._over = threading.Event()
        self._given_up: set[S3Object] = set()
        config = job.request.get("ModelClientConfig", {})
        self._timeout = config.get("InvocationsTimeoutInSeconds", INVOCATION_SECONDS)
        self._retries = config.get("InvocationsMaxRetries", RETRIES)

    def run(self, objects: list[S3Object]) -> None:
        """Transform all objects; those that the model or their content refuse do not hold up the others.

        Raises:
            ClientFailure: the first such refusal, when all others are done.
            AlgorithmFailure: the container does not answer.
            JobStopped: the job was asked to stop.
        """
        failures: list[ClientFailure] = []
        pool = ThreadPoolExecutor(self._plan.max_concurrent, thread_name_prefix="transform")
        answers = in_order(pool, self._asked, self._batches(objects), WINDOW * self._plan.max_concurrent)
        try:
            for item, parts in groupby(answers, key=lambda answer: answer[0].source):
                try:
                    self._assemble(item, (future for _, future in parts))
                except ClientFailure as failure:
                    self._given_up.add(item)
                    message = str(failure).removeprefix("ClientError: ")
                    failures.append(ClientFailure(f"{item.uri}: {message}"))
                    self._told.write(f"[sagemaker logs]: {item.uri}: {failure}")
        finally:
            self._over.set()
            # Not waited for: what is under way ends when the container does.
            pool.shutdown(wait=False, cancel_futures=True)
        if failures:
            raise failures[0]

    def _batches(self, objects: list[S3Object]) -> Iterator[Batch]:
        for index, item in enumerate(objects):
            yield Batch(item, [])
            path = self._job.base_dir / "input" / str(index)
            try:
                self._job.storage.download_file(item.uri, path)
                with self._open(path) as file:
                    for records in self._cut(file):
                        if item in self._given_up:
                            break
                        yield Batch(item, records)
            except ClientFailure as failure:
                yield Batch(item, [], failure)
            except (OSError, EOFError) as error:
                yield Batch(item, [], ClientFailure(f"The object cannot be read: {error}"))
            finally:
                path.unlink(missing_ok=True)

    def _open(self, path: Path) -> BinaryIO:
        if self._input.get("CompressionType") == "Gzip":
            return cast(BinaryIO, gzip.GzipFile(path, "rb"))
        return path.open("rb")

    def _cut(self, file: BinaryIO) -> Iterator[list[bytes]]:
        if not self._by_line:
            for content in whole(file, self._plan.payload_bytes):
                yield self._association.records(content)
        elif self._plan.single:
            yield from ([record] for record in lines(file, self._plan.payload_bytes))
        else:
            yield from batches(lines(file, self._plan.payload_bytes), self._plan.payload_bytes)

    def _asked(self, batch: Batch) -> bytes:
        if batch.failure is not None:
            raise batch.failure
        if not batch.records or batch.source in self._given_up:
            return b""
        payload = b"\n".join(self._association.sent(batch.records))
        answer = self._association.kept(batch.records, self._invoke(batch.source, payload))
        by_line = self._output.get("AssembleWith") == "Line"
        return answer + b"\n" if by_line and not answer.endswith(b"\n") else answer

    def _invoke(self, source: S3Object, payload: bytes) -> bytes:
        problem = ""
        for attempt in range(self._retries + 1):
            if self._over.wait(RETRY_SECONDS * 2 ** (attempt - 1) if attempt else 0):
                raise JobStopped
            try:
                answer = self._post(payload)
            except TimeoutError:
                problem = (
                    f"Model server did not respond to /invocations request within {self._timeout} seconds"
                )
                continue
            except ConnectionError as error:
                problem = f"Unable to get response from algorithm: {error}"
                continue
            if answer.status < 300:
                return answer.body
            said = answer.body[: 4 * TOLD_CHARACTERS].decode("utf-8", "replace")[:TOLD_CHARACTERS].strip()
            problem = f"Bad HTTP status received from algorithm: {answer.status}. Message: {said}"
            if answer.status < 500 and answer.status != 429:
                raise ClientFailure(problem)
        if (code := self._server.wait(0)) is not None:
            raise algorithm_failure("The model's container ended while it served", code)
        raise AlgorithmFailure(f"{source.uri}: {problem}")

    def _post(self, payload: bytes) -> ContainerAnswer:
        headers = {
            name: value
            for name, value in (
                ("Content-Type", self._input.get("ContentType")),
                ("Accept", self._output.get("Accept")),
            )
            if value
        }
        return self._server.request("POST", "/invocations", headers, payload, float(self._timeout))

    def _assemble(self, item: S3Object, parts: Iterator[Future[bytes]]) -> None:
        path = self._job.base_dir / "output" / "assembled"
        path.parent.mkdir(exist_ok=True)
        try:
            with path.open("wb") as file:
                for part in parts:
                    while not wait([part], POLL_SECONDS).done:
                        self._job.go_on()
                    self._job.go_on()
                    file.write(part.result())
            target = S3Uri.parse(self._output["S3OutputPath"]) / f"{item.relative}.out"
            self._job.storage.upload_file(path, target)
        finally:
            path.unlink(missing_ok=True)


def _wait_healthy(job: Job, server: ModelServer) -> None:
    deadline = time.monotonic() + HEALTHY_SECONDS
    while True:
        job.go_on()
        try:
            server.wait_healthy(LOOK_SECONDS)
            return
        except PingHealthCheckFailed:
            if server.wait(0) is not None:
                raise
            if time.monotonic() > deadline:
                raise PingHealthCheckFailed(
                    f"GET /ping did not answer 200 within {HEALTHY_SECONDS:g} seconds"
                ) from None


def _execution_parameters(server: ModelServer) -> Document:
    try:
        answer = server.request("GET", "/execution-parameters", {}, None, PARAMETERS_SECONDS)
        told = json.loads(answer.body) if answer.status == 200 else {}
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _camel(strategy: str) -> str:
    return "SingleRecord" if strategy == "SINGLE_RECORD" else "MultiRecord"
