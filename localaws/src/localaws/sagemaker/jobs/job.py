"""What jobs share: a life, told by their Describe operation, and for most of them a container."""

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

ALGO_HOST = "algo-1"  # the first instance's name, in the container's configuration and the log stream's
MAX_RUNTIME_SECONDS = 86_400  # SageMaker's default for processing and training
GRACE_SECONDS = 120.0  # between SIGTERM and SIGKILL, as SageMaker gives
CLOSING_GRACE_SECONDS = 3.0  # the same when the whole service ends
CLOSING_SECONDS = 5.0  # how long the service's end waits for all jobs together
POLL_SECONDS = 0.2
ENDED = ("Completed", "Failed", "Stopped")

logger = logging.getLogger("localaws.sagemaker")


class JobStopped(Exception):  # noqa: N818
    """Someone asked the job to stop, between two pieces of its work."""


@dataclass
class Job:
    """A job while it lives.

    Attributes:
        name: its own.
        arn: its own.
        request: what created it.
        role_arn: whom it acts as.
        platform: what it runs on.
        stream: its first instance's log stream's name.
        base_dir: what its container sees as /opt/ml, while it works; of several containers, each sees a
            folder of its own in it.
        stopping: set when it has to end.
        grace: seconds that its container gets to end by itself.
        limits: moments of time.monotonic() after which it may not run, by the names of what sets them.
        exceeded: the limit that it ran into.
        interruption: seconds of running after which its container is taken away from it, if it is.
        interrupted: whether its container was taken away the last time that it ran.
        seconds: that its containers have run so far.
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
        """S3, as the job's role."""
        return Storage(self.platform.sessions, self.role_arn)

    @property
    def max_runtime(self) -> int:
        """Seconds that its container may run."""
        condition: Document = self.request.get("StoppingCondition", {})
        return int(condition.get("MaxRuntimeInSeconds", MAX_RUNTIME_SECONDS))

    def stream_of(self, host: str) -> str:
        """The name of an instance's log stream."""
        return f"{self.name}/{host}-{self.stream.rpartition('-')[2]}"

    def raise_if_stopped(self) -> None:
        """Come here between pieces of work.

        Raises:
            JobStopped: there is no more to be done.
        """
        if self.stopping.is_set():
            raise JobStopped

    def prepare(self, image: str) -> None:
        """Make the image ready.

        Raises:
            ClientFailure: it is not to be had.
        """
        self.raise_if_stopped()
        try:
            self.platform.runtime.prepare(image)
        except ImageError as error:
            raise ClientFailure(f"The image {image} cannot be pulled: {error}") from error

    def credentials(self, isolated: bool) -> dict[str, str]:
        """The variables that make the container act as the role; none if it is to have no network."""
        return {} if isolated else self.platform.sessions.environment(self.role_arn)

    def run_cluster(self, specs: Sequence[ContainerSpec]) -> list[int | None]:
        """Run containers side by side to their end; the first that fails stops the others.

        Returns:
            Their exit codes, None for those that were stopped or ran out of time.

        Raises:
            ClientFailure: one cannot be started; none is left running.
        """
        self.raise_if_stopped()
        codes: list[int | None] = [None] * len(specs)
        self.exceeded, self.interrupted = "", False
        started = time.monotonic()
        limits = self.limits | {"MaxRuntimeInSeconds": started + self.max_runtime - self.seconds}
        living: deque[tuple[int, Container]] = deque()
        try:
            for index, spec in enumerate(specs):
                living.append((index, self.platform.runtime.start(spec)))
            while living and not any(codes):
                index, container = living.popleft()
                codes[index] = container.wait(POLL_SECONDS / (len(living) + 1))
                if codes[index] is not None:
                    continue
                living.append((index, container))
                moment = time.monotonic()
                self.exceeded = next((name for name, limit in limits.items() if moment > limit), "")
                taken = self.interruption is not None and moment > started + self.interruption
                self.interrupted = taken and not self.exceeded
                if self.exceeded or self.interrupted or self.stopping.is_set():
                    break
        except ImageError as error:
            raise ClientFailure(str(error)) from error
        finally:
            run_parallel([partial(container.stop, self.grace) for _, container in living])
            self.seconds += time.monotonic() - started
        return codes


class Lifecycle(ABC):
    """One kind of jobs: its records, and a thread for each job that lives."""

    kind: ClassVar[str]
    """Such as "TrainingJob"."""
    arn_kind: ClassVar[str]
    """Such as "training-job"."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.records = Records()
        self._living: dict[str, Job] = {}
        self._closed = False

    def operations(self) -> dict[str, Operation]:
        """Return the operations that this resource answers, by name."""
        return {
            f"Create{self.kind}": self.create,
            f"Describe{self.kind}": self.describe,
            f"List{self.kind}s": self.list,
            f"Stop{self.kind}": self.stop,
        }

    def create(self, request: Document) -> Document:
        """Check a request and start the job.

        Raises:
            SageMakerError: it cannot be started.
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
            # First, since a record whose thread cannot be started would be in progress for ever; the job
            # itself waits for the lock before it touches its record.
            threading.Thread(target=self._live, args=(job,), name=arn, daemon=True).start()
            self.records.add(name, record, taken)
            self._living[name] = job
        return {f"{self.kind}Arn": arn}

    def describe(self, request: Document) -> Document:
        """A job as it is now."""
        return self.records.get(request[f"{self.kind}Name"], self._missing(request))

    def list(self, request: Document) -> Document:
        """Jobs by name, status and time."""
        return list_page(f"List{self.kind}s", iter(self.records), request, self.kind)

    def stop(self, request: Document) -> Document:
        """Ask a job to stop.

        Raises:
            ValidationException: it has ended.
        """
        with self.records.lock:
            record = self.describe(request)
            name, status = record[f"{self.kind}Name"], record[f"{self.kind}Status"]
            if status in ENDED:
                raise ValidationException(
                    f"The request was rejected because the {self._label} is in status {status}."
                )
            self._living[name].stopping.set()
            if status != "Stopping":
                self.records.update(name, **self._status("Stopping", record))
        return {}

    def delete(self, request: Document) -> Document:
        """Forget a job that has ended.

        Raises:
            ResourceInUse: it has not.
        """
        name = request[f"{self.kind}Name"]
        with self.records.lock:
            record = self.records.get(name, self._missing(request))
            if record[f"{self.kind}Status"] not in ENDED:
                raise ResourceInUse(f"The {self._label} {name} has not ended yet")
            self.records.remove(name, self._missing(request))
        return {}

    def close(self) -> None:
        """Start no more jobs and stop all that live; wait CLOSING_SECONDS at most until they have ended."""
        with self.records.lock:
            self._closed = True
            living = list(self._living.values())
        for job in living:
            job.grace = CLOSING_GRACE_SECONDS
            job.stopping.set()
        deadline = time.monotonic() + CLOSING_SECONDS
        for job in living:
            job.ended.wait(max(0.0, deadline - time.monotonic()))

    @abstractmethod
    def check(self, request: Document) -> str:
        """Refuse what cannot be done; give the ARN of the role that the job acts as.

        Raises:
            SageMakerError: why it cannot be done.
        """

    @abstractmethod
    def perform(self, job: Job) -> None:
        """Do the job: it is Completed, or Stopped if it was asked to, when this returns.

        Raises:
            JobFailure: the job fails.
            JobStopped: it was stopped midway.
        """

    def status_members(self, status: str, record: Document) -> Document:
        """What else changes in a record when the job's status does."""
        return {}

    def _status(self, status: str, record: Document) -> Document:
        return {f"{self.kind}Status": status, **self.status_members(status, record)}

    def _live(self, job: Job) -> None:
        status, reason = self._outcome(job)
        with self.records.lock:
            record = self.records.get(job.name, self._missing({f"{self.kind}Name": job.name}))
            if reason:
                record |= {"FailureReason": reason[:FAILURE_REASON_CHARACTERS]}
                self.records.update(job.name, FailureReason=record["FailureReason"])
            self.records.update(job.name, **self._status(status, record | {"_Job": job}))
            del self._living[job.name]
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
        return ResourceNotFound(f"Requested resource not found: there is no {self._label} {name}")

    @property
    def _label(self) -> str:
        return self.arn_kind.replace("-", " ")


class Jobs(Lifecycle):
    """One kind of jobs that run a container: each has a folder of its own, and a log."""

    def perform(self, job: Job) -> None:
        """Do the job between the making and the removal of its folder."""
        with (
            self._base_dir(job),
            self.platform.logs.open(f"/aws/sagemaker/{self.kind}s", job.stream) as log,
        ):
            self.work(job, log)

    @abstractmethod
    def work(self, job: Job, log: LogStream) -> None:
        """Do the job, as `perform` has to."""

    def renew_base_dir(self, job: Job) -> None:
        """Put a new, empty folder in the place of the job's."""
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
    """The failure of a container that ended with an exit code, in SageMaker's words."""
    end = f", exit code: {code}"
    if code == 137:
        end += ". The process was killed (SIGKILL), which is what happens when memory runs out"
    room = FAILURE_REASON_CHARACTERS - len(str(AlgorithmFailure(end)))
    return AlgorithmFailure(printed[:room] + end)


def local_path(path: str, folder: str) -> PurePosixPath:
    """A request's LocalPath, relative to /opt/ml.

    Raises:
        ValidationException: it is not below the folder.
    """
    local = PurePosixPath(path)
    if PurePosixPath(folder) not in local.parents or ".." in local.parts:
        raise ValidationException(f"LocalPath {path!r} has to be an absolute path under {folder}/")
    return local.relative_to(OPT_ML)
