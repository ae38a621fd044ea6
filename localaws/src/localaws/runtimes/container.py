"""The interface between SageMaker's jobs and endpoints and the container runtimes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

OPT_ML = "/opt/ml"


class ImageError(Exception):
    """The image is not available, or its environment cannot be created."""


@dataclass(frozen=True)
class ContainerSpec:
    """A container to run.

    Attributes:
        image: the image's URI, as in the request.
        command: the arguments of the entry point: ("train",), ("serve",) or those of the request.
        base_dir: the host folder that the container uses as /opt/ml.
        environment: the environment variables, including AWS credentials.
        on_line: called with each line of output, from a thread of the runtime.
        entrypoint: replaces the entry point of the image.
    """

    image: str
    command: Sequence[str]
    base_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    on_line: Callable[[str], None] = lambda line: None
    entrypoint: Sequence[str] = ()


class Container(Protocol):
    """A started container."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code in shell notation (137 for SIGKILL), or None after `timeout` seconds."""

    def stop(self, grace: float) -> int:
        """Send SIGTERM, and after `grace` seconds SIGKILL, to all its processes; return the exit code."""


class Runtime(Protocol):
    """Runs containers by image URI."""

    def prepare(self, image: str) -> None:
        """Prepare the image for `start`, comparable to a pull.

        Raises:
            ImageError: the image does not exist or cannot be prepared.
        """

    def digest(self, image: str) -> str:
        """Return a digest that changes with the image's content.

        Raises:
            ImageError: the image does not exist.
        """

    def start(self, spec: ContainerSpec) -> Container:
        """Start a container of a prepared image.

        Raises:
            ImageError: the command is not in the image.
        """
