"""Run a container's trainings and servers for the check and cache results that several clauses use."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar, cast

from localaws.container_check.errors import Broken, Unchecked
from localaws.container_check.limits import Limits
from localaws.container_check.opt_ml import OptMl, contents, remove, seal
from localaws.container_check.sample import Sample
from localaws.container_check.server import Server
from localaws.runtimes.container import OPT_ML, Container, ContainerSpec, ImageError, Runtime

T = TypeVar("T")
SHOWN_CHARACTERS = 300  # of the last line that a container printed
ISOLATED = {"AWS_EC2_METADATA_DISABLED": "true"}  # no credentials, and no lookup of any


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes:
        code: its exit code; None if it exceeded the time limit and was killed.
    """

    opt_ml: OptMl
    code: int | None
    seconds: float
    lines: Sequence[str]

    @property
    def last_output(self) -> str:
        """The last non-empty line of output."""
        return last_line(self.lines)


@dataclass
class Bench:
    """The test setup for one image: runtime, sample and working folder.

    Attributes:
        folder: the image's folder; None if only its URI is known.
        commands: the executables in the folder; None if they are not known.
    """

    runtime: Runtime
    image: str
    sample: Sample
    workdir: Path
    limits: Limits = field(default_factory=Limits)
    folder: Path | None = None
    commands: frozenset[str] | None = None
    _cache: dict[str, object] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _successful_seconds: list[float] = field(default_factory=list)
    _started: list[Container] = field(default_factory=list)

    def has(self, command: str) -> bool:
        """Return whether the image has an executable; True if its executables are not known."""
        return self.commands is None or command in self.commands

    def with_aws_paths(self, text: str) -> str:
        """Return the text with local paths replaced by those below /opt/ml."""
        return re.sub(rf"{re.escape(str(self.workdir.resolve()))}/opt-ml-\d+", OPT_ML, text)

    def new_opt_ml(self) -> OptMl:
        """Create an empty folder for /opt/ml."""
        root = self.workdir / f"opt-ml-{next(self._numbers)}"
        root.mkdir(parents=True)
        return OptMl(root)

    def opt_ml(
        self, hyperparameters: Mapping[str, str] | None = None, channels: Mapping[str, Path] | None = None
    ) -> OptMl:
        """Create a folder for /opt/ml with a training job, by default the sample's."""
        created = self.new_opt_ml()
        created.create_training_job(
            self.sample.hyperparameters if hyperparameters is None else hyperparameters,
            self.sample.channels if channels is None else channels,
        )
        return created

    def start(
        self, opt_ml: OptMl, command: str, environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> Container:
        """Start a command of the image.

        Raises:
            Broken: the image does not have the command, or it cannot be started.
        """
        spec = ContainerSpec(self.image, (command,), opt_ml.root, {**ISOLATED, **environment}, on_line)
        try:
            # In a thread, which KeyboardInterrupt does not reach: every started container is recorded.
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(self._start, spec).result()
        except ImageError as error:
            raise Broken(str(error)) from error

    def _start(self, spec: ContainerSpec) -> Container:
        self._started.append(self.runtime.start(spec))
        return self._started[-1]

    def train(self, opt_ml: OptMl) -> Training:
        """Run a training to its end with a read-only input."""
        lines: list[str] = []
        seal(opt_ml.input)
        started = time.monotonic()
        container = self.start(opt_ml, "train", TRAINING_ENVIRONMENT, lines.append)
        code = container.wait(self.limits.training)
        seconds = time.monotonic() - started
        if code is None:
            container.stop(0)
        if code == 0:
            self._successful_seconds.append(seconds)
        return Training(opt_ml, code, seconds, lines)

    @property
    def usual_seconds(self) -> float:
        """The shortest duration of a successful training; the first may be slower since it fills caches.

        Raises:
            Unchecked: no training succeeded.
        """
        return min(self.trained.seconds, *self._successful_seconds)

    def cached(self, name: str, make: Callable[[], T]) -> T:
        """Return a value that several clauses use; create it on first use."""
        if name not in self._cache:
            self._cache[name] = make()
        return cast(T, self._cache[name])

    @property
    def first(self) -> Training:
        """The first training on the unchanged sample, successful or not."""
        return self.cached("first", lambda: self.train(self.opt_ml()))

    @property
    def trained(self) -> Training:
        """The first training on the unchanged sample.

        Raises:
            Unchecked: it failed or wrote no model.
        """
        if self.first.code != 0 or not contents(self.first.opt_ml.model):
            raise Unchecked("the training on the sample produced no model")
        return self.first

    def serve(self, environment: Mapping[str, str] | None = None, *, model: bool = True) -> Server:
        """Start a server whose /opt/ml contains only the trained model, which is read-only.

        Raises:
            Unchecked: there is no model to serve.
        """
        opt_ml = self.new_opt_ml()
        opt_ml.copy_model(self.trained.opt_ml if model else None)
        return Server.start(opt_ml, self.start, environment or {}, self.limits)

    def close(self) -> None:
        """Stop all running containers and remove the working folder."""
        for container in self._started:
            if container.wait(0) is None:
                container.stop(0)
        remove(self.workdir)


TRAINING_ENVIRONMENT = {
    "TRAINING_JOB_NAME": "check-container",
    "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:000000000000:training-job/check-container",
}


def last_line(lines: Sequence[str]) -> str:
    """Return the last non-empty line, truncated to SHOWN_CHARACTERS."""
    line = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"
