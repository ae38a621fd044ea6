"""The way of objects through a model's container: downloaded, cut, asked, put together, uploaded."""

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
LIMIT_MB = 100  # of a payload, and of all payloads under way
INVOCATION_SECONDS = 600  # SageMaker's default
RETRIES = 3  # SageMaker's default
RETRY_SECONDS = 0.5  # before the first retry; it doubles
ENDING_SECONDS = 10.0  # from a container's lost connection to its end, where it has ended
WINDOW = 2  # requests prepared for each one under way
SHOWN_CHARACTERS = 500  # of a container's error answer


@dataclass(frozen=True)
class Instance:
    """One container's place in a job.

    Attributes:
        job: the job.
        model: what it serves, as `Models.get` gives it.
        host: its name, such as "algo-1".
        log: where its lines go.
        over: set when any instance of the job has failed.
    """

    job: Job
    model: Document
    host: str
    log: LogStream
    over: threading.Event

    @property
    def folder(self) -> Path:
        """For what is under way."""
        return self.job.base_dir / self.host

    def raise_if_stopped(self) -> None:
        """Come here between pieces of work.

        Raises:
            JobStopped: there is no more to be done.
        """
        self.job.raise_if_stopped()
        if self.over.is_set():
            raise JobStopped


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
    def of(cls, request: Document, execution_parameters: Document) -> "Plan":
        """The job's settings, then the container's, then SageMaker's own."""
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
    """The objects of one instance on their way.

    Args:
        instance: whose they are.
        plan: how the container is asked.
        server: the container.
        data_log: the job's data log.
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
        self._over = threading.Event()
        self._given_up: set[S3Object] = set()
        config = job.request.get("ModelClientConfig", {})
        self._timeout = config.get("InvocationsTimeoutInSeconds", INVOCATION_SECONDS)
        self._retries = config.get("InvocationsMaxRetries", RETRIES)

    def run(self, objects: Sequence[S3Object]) -> list[ClientFailure]:
        """Transform all objects; those that the model or their content refuse do not hold up the others.

        Returns:
            The refusals.

        Raises:
            AlgorithmFailure: the container does not answer.
            JobStopped: the job was asked to stop, or another instance failed.
        """
        failures: list[ClientFailure] = []
        pool = ThreadPoolExecutor(self._plan.max_concurrent, thread_name_prefix="transform")
        answers = in_order(pool, self._answer_of, self._batches(objects), WINDOW * self._plan.max_concurrent)
        try:
            for item, parts in groupby(answers, key=lambda answer: answer[0].source):
                try:
                    self._assemble(item, (future for _, future in parts))
                except ClientFailure as failure:
                    self._given_up.add(item)
                    message = str(failure).removeprefix("ClientError: ")
                    failures.append(ClientFailure(f"{item.uri}: {message}"))
                    self._data_log.write(f"[sagemaker logs]: {item.uri}: {failure}")
        finally:
            self._over.set()
            # Not waited for: what is under way ends when the container does.
            pool.shutdown(wait=False, cancel_futures=True)
        return failures

    def _batches(self, objects: Sequence[S3Object]) -> Iterator[Batch]:
        for index, item in enumerate(objects):
            yield Batch(item, [])
            path = self._folder / "input" / str(index)
            try:
                self._storage.download_file(item.uri, path)
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
                yield self._data_processing.records(content)
        elif self._plan.single:
            yield from ([record] for record in lines(file, self._plan.payload_bytes))
        else:
            yield from batches(lines(file, self._plan.payload_bytes), self._plan.payload_bytes)

    def _answer_of(self, batch: Batch) -> bytes:
        if batch.failure is not None:
            raise batch.failure
        if not batch.records or batch.source in self._given_up:
            return b""
        payload = b"\n".join(self._data_processing.sent(batch.records))
        answer = self._data_processing.kept(batch.records, self._invoke(batch.source, payload))
        by_line = self._output.get("AssembleWith") == "Line"
        return answer + b"\n" if by_line and not answer.endswith(b"\n") else answer

    def _invoke(self, source: S3Object, payload: bytes) -> bytes:
        problem, lost = "", False
        for attempt in range(self._retries + 1):
            if self._over.wait(RETRY_SECONDS * 2 ** (attempt - 1) if attempt else 0):
                raise JobStopped
            lost = False
            try:
                answer = self._post(payload)
            except TimeoutError:
                problem = (
                    f"Model server did not respond to /invocations request within {self._timeout} seconds"
                )
                continue
            except ConnectionError as error:
                problem, lost = f"Unable to get response from algorithm: {error}", True
                continue
            if answer.status < 300:
                return answer.body
            shown = answer.body[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")[:SHOWN_CHARACTERS].strip()
            problem = f"Bad HTTP status received from algorithm: {answer.status}. Message: {shown}"
            if answer.status < 500 and answer.status != 429:
                raise ClientFailure(problem)
        if (code := self._server.wait(ENDING_SECONDS if lost else 0)) is not None:
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
