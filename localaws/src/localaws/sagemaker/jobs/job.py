"""The base classes of jobs: lifecycle, records and API operations, and containers for most kinds."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar

from localaws.runtimes.container import OPT_ML, Container, ContainerSpec, ImageError
from localaws.sagemaker.api.errors import (
    FAILURE_REASON_CHARACTERS,
    AlgorithmFailure,
    ClientFailure,
    JobFailure,
    ResourceInUse,
    ResourceNotFound,
    SageMakerError,
    ServiceUnavailable,
    ValidationException,
)
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.platform.logs import LogStream
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records, list_page, now
from localaws.sagemaker.platform.storage import Storage
from localaws.sagemaker.platform.threads import run_parallel

ALGO_HOST = "algo-1"  # the first instance's host name, in the container's configuration and the log stream
MAX_RUNTIME_SECONDS = 86_400  # SageMaker's default for processing and training
GRACE_SECONDS = 120.0  # between SIGTERM and SIGKILL, as in SageMaker
CLOSING_GRACE_SECONDS = 3.0  # the same during shutdown of the service
CLOSING_SECONDS = 5.0  # how long the shutdown waits for all jobs together
POLL_SECONDS = 0.2
ENDED = ("Completed", "Failed", "Stopped")

logger = logging.getLogger("localaws.sagemaker")


class JobStopped(Exception):  # noqa: N818
    """The job has to stop; raised between two parts of its work."""


@dataclass
class Job:
    """A running job.

    Attributes:
        name: name of the job.
        arn: ARN of the job.
        request: the Create request.
        role_arn: the IAM role that the job assumes.
        platform: the platform that the job runs on.
        stream: name of the first instance's log stream.
        base_dir: the folder that is /opt/ml in the container; with several containers, it has a subfolder
            per container.
        stopping: set when the job has to stop.
        ended: set when the job's record has its final status.
        grace: seconds between SIGTERM and SIGKILL for the containers.
        limits: deadlines in time.monotonic() seconds, by the name of the request's member.
        exceeded: name of the limit that was exceeded; empty if none was.
        interruption: seconds after which the containers are stopped like interrupted Spot instances.
        interrupted: whether the last run of the containers was interrupted.
        seconds: total run time of the containers so far.
    """

    name: str
    arn: str
    request: Document
    role_arn: str
    platform: Platform
    stream: str
    base_dir: Path = field(init=False)
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    grace: float = GRACE_SECONDS
    limits: dict[str, float] = field(default_factory=dict)
    exceeded: str = ""
    interruption: float | None = None
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def storage(self) -> Storage:
        """Access to S3 with the job's role."""
        return Storage(self.platform.sessions, self.role_arn)

    @property
    def max_runtime(self) -> int:
        """Maximum total run time of the containers, in seconds."""
        condition: Document = self.request.get("StoppingCondition", {})
        return int(condition.get("MaxRuntimeInSeconds", MAX_RUNTIME_SECONDS))

    def stream_of(self, host: str) -> str:
        """Return the name of an instance's log stream."""
        return f"{self.name}/{host}-{self.stream.rpartition('-')[2]}"

    def raise_if_stopped(self) -> None:
        """Raise if the job has to stop; called between parts of its work.

        Raises:
            JobStopped: `stopping` is set.
        """
        if self.stopping.is_set():
            raise JobStopped

    def prepare(self, image: str) -> None:
        """Make the image available to the runtime.

        Raises:
            ClientFailure: the image cannot be pulled.
            JobStopped: the job was stopped.
        """
        self.raise_if_stopped()
        try:
            self.platform.runtime.prepare(image)
        except ImageError as error:
            raise ClientFailure(f"The image {image} cannot be pulled: {error}") from error

    def credentials(self, isolated: bool) -> dict[str, str]:
        """Return the environment variables with the role's credentials; {} with EnableNetworkIsolation."""
        return {} if isolated else self.platform.sessions.environment(self.role_arn)

    def run_cluster(self, specs: Sequence[ContainerSpec]) -> list[int | None]:
        """Run containers concurrently until they exit; the first that fails stops the others.

        Returns:
            The exit code per container; None for a container that was stopped or exceeded a limit.

        Raises:
            ClientFailure: a container cannot be started; the others are stopped.
            JobStopped: the job was stopped before.
        """
        self.raise_if_stopped()
        codes: list[int | None] = [None] * len(specs)
        self.exceeded, self.interrupted = "", False
        started = time.monotonic()
        limits = self.limits | {"MaxRuntimeInSeconds": started + self.max_runtime - self.seconds}
        running: deque[tuple[int, Container]] = deque()
        try:
            for index, spec in enumerate(specs):
                running.append((index, self.platform.runtime.start(spec)))
            while running and not any(codes):
                index, container = running.popleft()
                codes[index] = container.wait(POLL_SECONDS / (len(running) + 1))
                if codes[index] is not None:
                    continue
                running.append((index, container))
                moment = time.monotonic()
                self.exceeded = next((name for name, limit in limits.items() if moment > limit), "")
                interrupted = self.interruption is not None and moment > started + self.interruption
                self.interrupted = interrupted and not self.exceeded
                if self.exceeded or self.interrupted or self.stopping.is_set():
                    break
        except ImageError as error:
            raise ClientFailure(str(error)) from error
        finally:
            run_parallel([partial(container.stop, self.grace) for _, container in running])
            self.seconds += time.monotonic() - started
        return codes


class Lifecycle(ABC):
    """One kind of job: its records, its API operations and a thread per running job."""

    kind: ClassVar[str]
    """The name of the kind in operations and members, such as "TrainingJob"."""
    arn_kind: ClassVar[str]
    """The name of the kind in ARNs, such as "training-job"."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.records = Records()
        self._running: dict[str, Job] = {}
        self._closed = False

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this resource, by name."""
        return {
            f"Create{self.kind}": self.create,
            f"Describe{self.kind}": self.describe,
            f"List{self.kind}s": self.list,
            f"Stop{self.kind}": self.stop,
        }

    def create(self, request: Document) -> Document:
        """Validate a request and start the job.

        Raises:
            SageMakerError: the request is invalid, the name is taken, or the service is shutting down.
        """
        name = request[f"{self.kind}Name"]
        role_arn = self.check(request)
        self.platform.sessions.check_role(role_arn)
        arn = self.platform.arn(self.arn_kind, name)
        taken = ResourceInUse(
            f"Job name must be unique within an AWS account and region, and a {self._label} with this name "
            f"already exists ({arn})"
        )
        created = now()
        record = {key: value for key, value in request.items() if key != "Tags"} | {
            f"{self.kind}Arn": arn,
            "CreationTime": created,
            "LastModifiedTime": created,
            **self._status("InProgress", {}),
        }
        stream = f"{name}/{ALGO_HOST}-{int(created.timestamp())}"
        job = Job(name, arn, request, role_arn, self.platform, stream)
        with self.records.lock:
            if self._closed:
                raise ServiceUnavailable("The server is shutting down")
            if name in self.records:
                raise taken
            # The thread starts before the record is added: if it cannot start, no record stays InProgress.
            # The job waits for the lock before it updates its record.
            threading.Thread(target=self._run, args=(job,), name=arn, daemon=True).start()
            self.records.add(name, record, taken)
            self._running[name] = job
        return {f"{self.kind}Arn": arn}

    def describe(self, request: Document) -> Document:
        """Return a job's record."""
        return self.records.get(request[f"{self.kind}Name"], self._missing(request))

    def list(self, request: Document) -> Document:
        """Return a page of jobs, filtered by name, status and time."""
        return list_page(f"List{self.kind}s", iter(self.records), request, self.kind)

    def stop(self, request: Document) -> Document:
        """Start to stop a job; a second request has no further effect.

        Raises:
            ValidationException: the job has ended.
        """
        with self.records.lock:
            record = self.describe(request)
            name, status = record[f"{self.kind}Name"], record[f"{self.kind}Status"]
            if status in ENDED:
                raise ValidationException(
                    f"The request was rejected because the {self._label} is in status {status}."
                )
            self._running[name].stopping.set()
            if status != "Stopping":
                self.records.update(name, **self._status("Stopping", record))
        return {}

    def delete(self, request: Document) -> Document:
        """Delete the record of an ended job.

        Raises:
            ResourceInUse: the job has not ended.
        """
        name = request[f"{self.kind}Name"]
        with self.records.lock:
            record = self.records.get(name, self._missing(request))
            if record[f"{self.kind}Status"] not in ENDED:
                raise ResourceInUse(f"The {self._label} {name} has not ended yet")
            self.records.remove(name, self._missing(request))
        return {}

    def close(self) -> None:
        """Reject new jobs and stop all running ones; wait at most CLOSING_SECONDS until they have ended."""
        with self.records.lock:
            self._closed = True
            running = list(self._running.values())
        for job in running:
            job.grace = CLOSING_GRACE_SECONDS
            job.stopping.set()
        deadline = time.monotonic() + CLOSING_SECONDS
        for job in running:
            job.ended.wait(max(0.0, deadline - time.monotonic()))

    @abstractmethod
    def check(self, request: Document) -> str:
        """Validate a Create request and return the ARN of the role that the job assumes.

        Raises:
            SageMakerError: the request is invalid or not supported.
        """

    @abstractmethod
    def perform(self, job: Job) -> None:
        """Run the job to its end: on return it is Completed, or Stopped if it was stopped.

        Raises:
            JobFailure: the job fails.
            JobStopped: the job was stopped before its end.
        """

    def status_members(self, status: str, record: Document) -> Document:
        """Return the members of a record that change together with the job's status."""
        return {}

    def _status(self, status: str, record: Document) -> Document:
        return {f"{self.kind}Status": status, **self.status_members(status, record)}

    def _run(self, job: Job) -> None:
        status, reason = self._outcome(job)
        with self.records.lock:
            record = self.records.get(job.name, self._missing({f"{self.kind}Name": job.name}))
            if reason:
                record |= {"FailureReason": reason[:FAILURE_REASON_CHARACTERS]}
                self.records.update(job.name, FailureReason=record["FailureReason"])
            self.records.update(job.name, **self._status(status, record | {"_Job": job}))
            del self._running[job.name]
        job.ended.set()
        self.platform.notifier.notify()

    def _outcome(self, job: Job) -> tuple[str, str]:
        try:
            self.perform(job)
            return ("Stopped" if job.stopping.is_set() or job.exceeded else "Completed"), ""
        except JobStopped:
            return "Stopped", ""
        except JobFailure as failure:
            return "Failed", str(failure)
        except SageMakerError as error:
            return "Failed", str(ClientFailure(error.message))
        except Exception as error:
            logger.exception("%s failed", job.arn)
            return (
                "Failed",
                "InternalServerError: We encountered an internal error. Please try again. "
                f"({type(error).__name__}: {error})",
            )

    def _missing(self, request: Document) -> SageMakerError:
        name = request[f"{self.kind}Name"]
        return ResourceNotFound(f"Requested resource not found: the {self._label} {name} does not exist")

    @property
    def _label(self) -> str:
        return self.arn_kind.replace("-", " ")


class Jobs(Lifecycle):
    """One kind of job that runs containers, with a work folder and a log stream per job."""

    def perform(self, job: Job) -> None:
        """Run the job in a new work folder, which is removed at the end."""
        with (
            self._base_dir(job),
            self.platform.logs.open(f"/aws/sagemaker/{self.kind}s", job.stream) as log,
        ):
            self.work(job, log)

    @abstractmethod
    def work(self, job: Job, log: LogStream) -> None:
        """Run the job to its end; raise the same errors as `perform`."""

    def renew_base_dir(self, job: Job) -> None:
        """Replace the job's folder with a new, empty one."""
        self.platform.discard(job.base_dir)
        job.base_dir = self.platform.new_base_dir(self.arn_kind, job.name)

    @contextmanager
    def _base_dir(self, job: Job) -> Iterator[None]:
        job.base_dir = self.platform.new_base_dir(self.arn_kind, job.name)
        try:
            yield
        finally:
            self.platform.discard(job.base_dir)


def algorithm_failure(printed: str, code: int) -> AlgorithmFailure:
    """Return the failure of a container with a nonzero exit code, worded like SageMaker's FailureReason."""
    end = f", exit code: {code}"
    if code == 137:
        end += ". The process was killed (SIGKILL), which is what happens when memory runs out"
    room = FAILURE_REASON_CHARACTERS - len(str(AlgorithmFailure(end)))
    return AlgorithmFailure(printed[:room] + end)


def local_path(path: str, folder: str) -> PurePosixPath:
    """Return a request's LocalPath relative to /opt/ml.

    Raises:
        ValidationException: the path is not below the folder.
    """
    local = PurePosixPath(path)
    if PurePosixPath(folder) not in local.parents or ".." in local.parts:
        raise ValidationException(f"LocalPath {path!r} must be an absolute path under {folder}/")
    return local.relative_to(OPT_ML)
