"""What processing, training and transform jobs share: a life, told by their Describe operation."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from localaws.runtimes.container import ContainerSpec, ImageError
from localaws.sagemaker.errors import (
    AlgorithmFailure,
    ClientFailure,
    JobFailure,
    ResourceInUse,
    ResourceNotFound,
    SageMakerError,
    ValidationException,
)
from localaws.sagemaker.http import Operation
from localaws.sagemaker.logs import LogStream
from localaws.sagemaker.platform import Platform
from localaws.sagemaker.records import Records, list_page, now
from localaws.sagemaker.shapes import Document
from localaws.sagemaker.storage import Storage

HOST = "algo-1"  # the one instance's name, in the container's configuration and in the log stream's
REASON_CHARACTERS = 1024  # of FailureReason
GRACE_SECONDS = 120.0  # between SIGTERM and SIGKILL, as SageMaker gives
CLOSING_GRACE_SECONDS = 3.0  # the same when the whole service ends
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
        base_dir: what its container sees as /opt/ml.
        stopping: set when it has to end.
        grace: seconds that its container gets to end by itself.
        timed_out: whether it ran longer than it was allowed to.
    """

    name: str
    arn: str
    request: Document
    role_arn: str
    platform: Platform
    base_dir: Path
    stream: str
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    grace: float = GRACE_SECONDS
    timed_out: bool = False

    @property
    def storage(self) -> Storage:
        """S3, as the job's role."""
        return Storage(self.platform.sessions, self.role_arn)

    def go_on(self) -> None:
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
        self.go_on()
        try:
            self.platform.runtime.prepare(image)
        except ImageError as error:
            raise ClientFailure(f"The image {image} cannot be pulled: {error}") from error

    def credentials(self, isolated: bool) -> dict[str, str]:
        """The variables that make the container act as the role; none if it is to have no network."""
        return {} if isolated else self.platform.sessions.environment(self.role_arn)

    def run(
        self,
        image: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        max_runtime: float,
    ) -> int | None:
        """Run a container to its end: its exit code, None if it was stopped or ran out of time.

        Raises:
            ClientFailure: it cannot be started.
        """
        self.go_on()
        deadline = time.monotonic() + max_runtime
        try:
            container = self.platform.runtime.start(
                ContainerSpec(image, command, self.base_dir, environment, on_line)
            )
        except ImageError as error:
            raise ClientFailure(str(error)) from error
        while (code := container.wait(POLL_SECONDS)) is None:
            self.timed_out = time.monotonic() > deadline
            if self.timed_out or self.stopping.is_set():
                container.stop(self.grace)
                return None
        return code


class Jobs(ABC):
    """One kind of jobs: its records, and a thread for each job that lives."""

    noun: ClassVar[str]
    """Such as "TrainingJob"."""
    arn_kind: ClassVar[str]
    """Such as "training-job"."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.records = Records()
        self._living: dict[str, Job] = {}

    def operations(self) -> dict[str, Operation]:
        """The operations that this noun answers."""
        return {
            f"Create{self.noun}": self.create,
            f"Describe{self.noun}": self.describe,
            f"List{self.noun}s": self.list,
            f"Stop{self.noun}": self.stop,
        }

    def create(self, request: Document) -> Document:
        """Check a request and start the job.

        Raises:
            SageMakerError: it cannot be started.
        """
        name = request[f"{self.noun}Name"]
        role_arn = self.check(request)
        self.platform.sessions.check_role(role_arn)
        arn = self.platform.arn(self.arn_kind, name)
        taken = ResourceInUse(
            f"Job name must be unique within an AWS account and region, and a {self._spoken} with this name "
            f"already exists ({arn})"
        )
        created = now()
        stream = f"{name}/{HOST}-{int(created.timestamp())}"
        with self.records.lock:
            record = {key: value for key, value in request.items() if key != "Tags"} | {
                f"{self.noun}Arn": arn,
                "CreationTime": created,
                "LastModifiedTime": created,
                **self._status("InProgress", {}),
            }
            self.records.add(name, record, taken)
            base_dir = self.platform.new_base_dir(self.arn_kind, name)
            job = Job(name, arn, request, role_arn, self.platform, base_dir, stream)
            self._living[name] = job
        threading.Thread(target=self._live, args=(job,), name=arn, daemon=True).start()
        return {f"{self.noun}Arn": arn}

    def describe(self, request: Document) -> Document:
        """A job as it is now."""
        return self.records.get(request[f"{self.noun}Name"], self._missing(request))

    def list(self, request: Document) -> Document:
        """Jobs by name, status and time."""
        return list_page(f"List{self.noun}s", iter(self.records), request, self.noun)

    def stop(self, request: Document) -> Document:
        """Ask a job to stop.

        Raises:
            ValidationException: it has ended.
        """
        name = request[f"{self.noun}Name"]
        with self.records.lock:
            record = self.records.get(name, self._missing(request))
            status = record[f"{self.noun}Status"]
            if status in ENDED:
                raise ValidationException(
                    f"The request was rejected because the {self._spoken} is in status {status}."
                )
            if status != "Stopping":
                self.records.update(name, **self._status("Stopping", record))
            self._living[name].stopping.set()
        return {}

    def delete(self, request: Document) -> Document:
        """Forget a job that has ended.

        Raises:
            ResourceInUse: it has not.
        """
        name = request[f"{self.noun}Name"]
        with self.records.lock:
            record = self.records.get(name, self._missing(request))
            if record[f"{self.noun}Status"] not in ENDED:
                raise ResourceInUse(f"The {self._spoken} {name} has not ended yet")
            self.records.remove(name, self._missing(request))
        return {}

    def wait(self, name: str, timeout: float | None = None) -> Document:
        """A job's record once it has ended, or after `timeout` seconds."""
        job = self._living.get(name)
        if job is not None:
            job.ended.wait(timeout)
        return self.describe({f"{self.noun}Name": name})

    def close(self) -> None:
        """Stop every job, soon."""
        living = list(self._living.values())
        for job in living:
            job.grace = CLOSING_GRACE_SECONDS
            job.stopping.set()
        for job in living:
            job.ended.wait(2 * CLOSING_GRACE_SECONDS)

    @abstractmethod
    def check(self, request: Document) -> str:
        """Refuse what cannot be done; give the ARN of the role that the job acts as.

        Raises:
            SageMakerError: why it cannot be done.
        """

    @abstractmethod
    def work(self, job: Job, log: LogStream) -> None:
        """Do the job: it is Completed, or Stopped if it was asked to, when this returns.

        Raises:
            JobFailure: the job fails.
            JobStopped: it was stopped midway.
        """

    def status_members(self, status: str, record: Document) -> Document:
        """What else changes in a record when the job's status does."""
        return {}

    def _status(self, status: str, record: Document) -> Document:
        return {f"{self.noun}Status": status, **self.status_members(status, record)}

    def _live(self, job: Job) -> None:
        status, reason = self._outcome(job)
        self.platform.discard(job.base_dir)
        with self.records.lock:
            record = self.records.get(job.name, self._missing({f"{self.noun}Name": job.name}))
            if reason:
                record |= {"FailureReason": reason[:REASON_CHARACTERS]}
                self.records.update(job.name, FailureReason=record["FailureReason"])
            self.records.update(job.name, **self._status(status, record | {"_TimedOut": job.timed_out}))
            del self._living[job.name]
        job.ended.set()

    def _outcome(self, job: Job) -> tuple[str, str]:
        try:
            with self.platform.logs.open(f"/aws/sagemaker/{self.noun}s", job.stream) as log:
                self.work(job, log)
            return ("Stopped" if job.stopping.is_set() or job.timed_out else "Completed"), ""
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
                f"InternalServerError: We encountered an internal error. Please try again. ({error!r})",
            )

    def _missing(self, request: Document) -> SageMakerError:
        name = request[f"{self.noun}Name"]
        return ResourceNotFound(f"Requested resource not found: there is no {self._spoken} {name}")

    @property
    def _spoken(self) -> str:
        return self.arn_kind.replace("-", " ")


def algorithm_failure(told: str, code: int) -> AlgorithmFailure:
    """The failure of a container that ended with an exit code, in SageMaker's words."""
    end = f", exit code: {code}"
    if code == 137:
        end += ". The process was killed (SIGKILL), which is what happens when memory runs out"
    room = REASON_CHARACTERS - len(str(AlgorithmFailure(end)))
    return AlgorithmFailure(told[:room] + end)
