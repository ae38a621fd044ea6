"""What SageMaker asks of whatever runs containers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

OPT_ML = "/opt/ml"


class ImageError(Exception):
    """The image is not to be had, or its environment cannot be made; the message says which and why."""


@dataclass(frozen=True)
class ContainerSpec:
    """One container to run.

    Attributes:
        image: the image's URI, as in the request.
        command: what the image's entry point is given, or runs: ("train",), ("serve",) or a job's own.
        base_dir: the folder that the container sees as /opt/ml.
        environment: its variables, AWS credentials among them.
        on_line: called with each line that it prints, from a thread of the runtime's.
        entrypoint: stands in for the image's own.
    """

    image: str
    command: Sequence[str]
    base_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    on_line: Callable[[str], None] = lambda line: None
    entrypoint: Sequence[str] = ()


class Container(Protocol):
    """A container that was started."""

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code, as a shell tells it (137 for SIGKILL); None if `timeout` seconds were too few."""

    def stop(self, grace: float) -> int:
        """SIGTERM, then after `grace` seconds SIGKILL, for everything that it started; the exit code."""


class Runtime(Protocol):
    """Runs containers by their images' URIs."""

    def prepare(self, image: str) -> None:
        """Make the image ready to start; what a pull is elsewhere.

        Raises:
            ImageError: there is no such image, or it cannot be made ready.
        """

    def digest(self, image: str) -> str:
        """What tells an image's content from any other.

        Raises:
            ImageError: there is no such image.
        """

    def start(self, spec: ContainerSpec) -> Container:
        """Start a container of a prepared image.

        Raises:
            ImageError: the command is not in the image.
        """
