"""Where a container is tried: starts its trainings and servers, and keeps what several clauses look at."""

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
SHOWN_CHARACTERS = 300  # of what a container printed last
ISOLATED = {"AWS_EC2_METADATA_DISABLED": "true"}  # no credentials, and no search for any


@dataclass(frozen=True)
class Training:
    """A training that has ended.

    Attributes:
        code: its exit code; None if it was still running when its time was over.
    """

    opt_ml: OptMl
    code: int | None
    seconds: float
    lines: Sequence[str]

    @property
    def last_output(self) -> str:
        """Its last words, on one line."""
        return last_words(self.lines)


@dataclass
class Bench:
    """One image, one sample, one folder to work in.

    Attributes:
        folder: the image's own folder; None where only its URI is known.
        commands: the executables that the folder has; None where that is not known.
    """

    runtime: Runtime
    image: str
    sample: Sample
    workdir: Path
    limits: Limits = field(default_factory=Limits)
    folder: Path | None = None
    commands: frozenset[str] | None = None
    _made: dict[str, object] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _took: list[float] = field(default_factory=list)
    _started: list[Container] = field(default_factory=list)

    def has(self, command: str) -> bool:
        """Whether the image has an executable, as far as one can know."""
        return self.commands is None or command in self.commands

    def as_seen(self, text: str) -> str:
        """A text with the container's paths as it would see them on AWS."""
        return re.sub(rf"{re.escape(str(self.workdir.resolve()))}/opt-ml-\d+", OPT_ML, text)

    def new_opt_ml(self) -> OptMl:
        """A new, empty /opt/ml."""
        root = self.workdir / f"opt-ml-{next(self._numbers)}"
        root.mkdir(parents=True)
        return OptMl(root)

    def opt_ml(
        self, hyperparameters: Mapping[str, str] | None = None, channels: Mapping[str, Path] | None = None
    ) -> OptMl:
        """A new /opt/ml with the sample's job in it."""
        made = self.new_opt_ml()
        made.lay_out(
            self.sample.hyperparameters if hyperparameters is None else hyperparameters,
            self.sample.channels if channels is None else channels,
        )
        return made

    def start(
        self, opt_ml: OptMl, command: str, environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> Container:
        """Start one of the image's commands.

        Raises:
            Broken: the image has no such command, or it cannot be started.
        """
        spec = ContainerSpec(self.image, (command,), opt_ml.root, {**ISOLATED, **environment}, on_line)
        try:
            # In a thread that no interruption reaches: what was started is surely noted.
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(self._start, spec).result()
        except ImageError as error:
            raise Broken(str(error)) from error

    def _start(self, spec: ContainerSpec) -> Container:
        self._started.append(self.runtime.start(spec))
        return self._started[-1]

    def train(self, opt_ml: OptMl) -> Training:
        """Train to the end, on an input that cannot be written to."""
        lines: list[str] = []
        seal(opt_ml.input)
        started = time.monotonic()
        container = self.start(opt_ml, "train", TRAINING_ENVIRONMENT, lines.append)
        code = container.wait(self.limits.training)
        seconds = time.monotonic() - started
        if code is None:
            container.stop(0)
        if code == 0:
            self._took.append(seconds)
        return Training(opt_ml, code, seconds, lines)

    @property
    def usual_seconds(self) -> float:
        """How long a training takes that goes well: the first may have filled caches that the next ones use.

        Raises:
            Unchecked: none went well.
        """
        return min(self.trained.seconds, *self._took)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What several clauses look at, made when the first of them does."""
        if name not in self._made:
            self._made[name] = make()
        return cast(T, self._made[name])

    @property
    def first(self) -> Training:
        """An ordinary training on the sample."""
        return self.once("first", lambda: self.train(self.opt_ml()))

    @property
    def trained(self) -> Training:
        """The ordinary training, which went well.

        Raises:
            Unchecked: it did not.
        """
        if self.first.code != 0 or not contents(self.first.opt_ml.model):
            raise Unchecked("the training on the sample gave no model")
        return self.first

    def serve(self, environment: Mapping[str, str] | None = None, *, model: bool = True) -> Server:
        """Start a server with the trained model and nothing else, the model sealed.

        Raises:
            Unchecked: there is no model to serve.
        """
        opt_ml = self.new_opt_ml()
        opt_ml.take_model(self.trained.opt_ml if model else None)
        return Server.start(opt_ml, self.start, environment or {}, self.limits)

    def close(self) -> None:
        """End what runs, and remove what was written."""
        for container in self._started:
            if container.wait(0) is None:
                container.stop(0)
        remove(self.workdir)


TRAINING_ENVIRONMENT = {
    "TRAINING_JOB_NAME": "check-container",
    "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:000000000000:training-job/check-container",
}


def last_words(lines: Sequence[str]) -> str:
    """The last line that says something, cut if it is long."""
    line = next((line.strip() for line in reversed(lines) if line.strip()), "nothing was printed")
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"
