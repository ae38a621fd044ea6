"""Transform S3 objects in a model's container: download, split, invoke, assemble, upload."""

import gzip
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, cast

from localaws.sagemaker.api.errors import AlgorithmFailure, ClientFailure
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.hosting.model_server import ContainerAnswer, ModelServer
from localaws.sagemaker.jobs.batching import batches, in_order, lines, whole
from localaws.sagemaker.jobs.data_processing import DataProcessing
from localaws.sagemaker.jobs.job import POLL_SECONDS, Job, JobStopped, algorithm_failure
from localaws.sagemaker.platform.logs import LogStream
from localaws.sagemaker.platform.storage import S3Object, S3Uri

MB = 1 << 20
PAYLOAD_MB = 6  # SageMaker's default
LIMIT_MB = 100  # maximum of one payload, and of all concurrent payloads together
INVOCATION_SECONDS = 600  # SageMaker's default
RETRIES = 3  # SageMaker's default
RETRY_SECONDS = 0.5  # before the first retry; it doubles
ENDING_SECONDS = 10.0  # how long to wait for a container's exit after its connection was lost
WINDOW = 2  # requests prepared per concurrent request
SHOWN_CHARACTERS = 500  # of a container's error response


@dataclass(frozen=True)
class Instance:
    """One instance of a transform job.

    Attributes:
        job: the job.
        model: the model's record, as returned by `Models.get`.
        host: the instance's host name, such as "algo-1".
        log: the log stream of the container's output.
        failed: set when any instance of the job has failed.
    """

    job: Job
    model: Document
    host: str
    log: LogStream
    failed: threading.Event

    @property
    def folder(self) -> Path:
        """The instance's folder for temporary files."""
        return self.job.base_dir / self.host

    def raise_if_stopped(self) -> None:
        """Raise if the instance has to stop; called between parts of its work.

        Raises:
            JobStopped: the job was stopped, or another instance failed.
        """
        self.job.raise_if_stopped()
        if self.failed.is_set():
            raise JobStopped


@dataclass(frozen=True)
class Batch:
    """The records of one request; empty at the start of an object, or when reading it failed."""

    source: S3Object
    records: list[bytes]
    failure: ClientFailure | None = None


@dataclass(frozen=True)
class Plan:
    """Concurrency, payload size and batch strategy of the requests."""

    max_concurrent: int
    payload_bytes: int
    single: bool

    @classmethod
    def of(cls, request: Document, execution_parameters: Document) -> "Plan":
        """Return the job's settings; default to the container's /execution-parameters, then SageMaker's."""
        strategy = request.get("BatchStrategy") or _camel(
            execution_parameters.get("BatchStrategy", "MULTI_RECORD")
        )
        concurrent = request.get("MaxConcurrentTransforms") or int(
            execution_parameters.get("MaxConcurrentTransforms", 1)
        )
        payload = request.get("MaxPayloadInMB") or int(execution_parameters.get("MaxPayloadInMB", PAYLOAD_MB))
        payload = min(max(1, payload), LIMIT_MB)
        return cls(min(max(1, concurrent), LIMIT_MB // payload), payload * MB, strategy == "SingleRecord")


class Transformation:
    """The transformation of one instance's objects.

    Args:
        instance: the instance.
        plan: the settings of the requests.
        server: the model's container.
        data_log: the instance's data log.
    """

    def __init__(self, instance: Instance, plan: Plan, server: ModelServer, data_log: LogStream) -> None:
        job = instance.job
        self._storage = job.storage
        self._folder = instance.folder
        self._raise_if_stopped = instance.raise_if_stopped
        self._plan = plan
        self._server = server
        self._data_log = data_log
        self._input: Document = job.request["TransformInput"]
        self._output: Document = job.request["TransformOutput"]
        self._by_line = self._input.get("SplitType") == "Line"
        self._data_processing = DataProcessing.of(job.request, single=plan.single or not self._by_line)
        self._cancelled = threading.Event()
        self._failed: set[S3Object] = set()
        config = job.request.get("ModelClientConfig", {})
        self._timeout = config.get("InvocationsTimeoutInSeconds", INVOCATION_SECONDS)
        self._retries = config.get("InvocationsMaxRetries", RETRIES)

    def run(self, objects: Sequence[S3Object]) -> list[ClientFailure]:
        """Transform all objects; an object that fails does not stop the others.

        Returns:
            The failure per failed object.

        Raises:
            AlgorithmFailure: the container does not respond.
            JobStopped: the job was stopped, or another instance failed.
        """
        failures: list[ClientFailure] = []
        pool = ThreadPoolExecutor(self._plan.max_concurrent, thread_name_prefix="transform")
        results = in_order(
            pool, self._transform_batch, self._batches(objects), WINDOW * self._plan.max_concurrent
        )
        try:
            for item, parts in groupby(results, key=lambda result: result[0].source):
                try:
                    self._assemble(item, (future for _, future in parts))
                except ClientFailure as failure:
                    self._failed.add(item)
                    message = str(failure).removeprefix("ClientError: ")
                    failures.append(ClientFailure(f"{item.uri}: {message}"))
                    self._data_log.write(f"[sagemaker logs]: {item.uri}: {failure}")
        finally:
            self._cancelled.set()
            # No wait: open requests end when the container is stopped.
            pool.shutdown(wait=False, cancel_futures=True)
        return failures

    def _batches(self, objects: Sequence[S3Object]) -> Iterator[Batch]:
        for index, item in enumerate(objects):
            yield Batch(item, [])
            path = self._folder / "input" / str(index)
            try:
                self._storage.download_file(item.uri, path)
                with self._open(path) as file:
                    for records in self._split(file):
                        if item in self._failed:
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

    def _split(self, file: BinaryIO) -> Iterator[list[bytes]]:
        if not self._by_line:
            for content in whole(file, self._plan.payload_bytes):
                yield self._data_processing.records(content)
        elif self._plan.single:
            yield from ([record] for record in lines(file, self._plan.payload_bytes))
        else:
            yield from batches(lines(file, self._plan.payload_bytes), self._plan.payload_bytes)

    def _transform_batch(self, batch: Batch) -> bytes:
        if batch.failure is not None:
            raise batch.failure
        if not batch.records or batch.source in self._failed:
            return b""
        payload = b"\n".join(self._data_processing.filter_input(batch.records))
        output = self._data_processing.output_of(batch.records, self._invoke(batch.source, payload))
        by_line = self._output.get("AssembleWith") == "Line"
        return output + b"\n" if by_line and not output.endswith(b"\n") else output

    def _invoke(self, source: S3Object, payload: bytes) -> bytes:
        problem, lost = "", False
        for attempt in range(self._retries + 1):
            if self._cancelled.wait(RETRY_SECONDS * 2 ** (attempt - 1) if attempt else 0):
                raise JobStopped
            lost = False
            try:
                response = self._post(payload)
            except TimeoutError:
                problem = (
                    f"Model server did not respond to /invocations request within {self._timeout} seconds"
                )
                continue
            except ConnectionError as error:
                problem, lost = f"Unable to get response from algorithm: {error}", True
                continue
            if response.status < 300:
                return response.body
            content = response.body[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")
            shown = content[:SHOWN_CHARACTERS].strip()
            problem = f"Bad HTTP status received from algorithm: {response.status}. Message: {shown}"
            if response.status < 500 and response.status != 429:
                raise ClientFailure(problem)
        if (code := self._server.wait(ENDING_SECONDS if lost else 0)) is not None:
            raise algorithm_failure("The model's container exited during a request", code)
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
        path = self._folder / "output" / "assembled"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("wb") as file:
                for part in parts:
                    while not wait([part], POLL_SECONDS).done:
                        self._raise_if_stopped()
                    self._raise_if_stopped()
                    file.write(part.result())
            target = S3Uri.parse(self._output["S3OutputPath"]) / f"{item.relative}.out"
            self._storage.upload_file(path, target)
        finally:
            path.unlink(missing_ok=True)


def _camel(strategy: str) -> str:
    return "SingleRecord" if strategy == "SINGLE_RECORD" else "MultiRecord"
