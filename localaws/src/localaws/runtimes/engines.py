"""Container engines: build the commands of docker, podman and buildah and read their output."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from localaws.runtimes.container import OPT_ML, ContainerSpec, ImageError
from localaws.runtimes.guard import signal_marked

SECONDS = 60  # timeout of engine commands other than a container's run

# buildah neither reports the signal that ended a container nor forwards signals. A shell in between exits
# with 128 + the signal and ignores the SIGTERM that all processes of the container receive.
BUILDAH_SHELL = ("sh", "-c", 'trap : TERM; "$@"; exit $?', "sh")
# The lines that buildah itself adds on stderr to a container's output.
_BUILDAH_MESSAGE = re.compile(r"subprocess exited (with status \d+|on \w+)|Error: exit status \d+")


class Engine(Protocol):
    """Runs containers of images in its local storage."""

    @property
    def discard(self) -> Sequence[str]:
        """Return the command that stops and removes containers; their names are appended to it."""

    def image_id(self, image: str) -> str | None:
        """Return the ID of an image, which changes with its content; None if the engine does not have it."""

    def command(self, name: str, image: str, spec: ContainerSpec) -> list[str]:
        """Return the command that runs a new container in the foreground.

        Raises:
            ImageError: the container cannot be created.
        """

    def signal(self, name: str, mark: str, number: signal.Signals) -> bool:
        """Send a signal to a container's processes and return whether the container was running."""

    def is_own(self, line: str) -> bool:
        """Return whether a line of output comes from the engine instead of the container."""


@dataclass(frozen=True)
class Docker:
    """Docker, or Podman with its compatible command line."""

    program: str = "docker"

    @property
    def discard(self) -> Sequence[str]:
        """Return the command that stops and removes containers; their names are appended to it."""
        return (self.program, "rm", "--force")

    def image_id(self, image: str) -> str | None:
        """Return the ID of an image, which changes with its content; None if the engine does not have it."""
        output = _output_of(self.program, "image", "inspect", "--format", "{{.Id}}", image)
        return output.strip() if output else None

    def command(self, name: str, image: str, spec: ContainerSpec) -> list[str]:
        """Return the command that runs a new container in the foreground."""
        entrypoint = ("--entrypoint", spec.entrypoint[0]) if spec.entrypoint else ()
        return [
            self.program, "run", "--name", name, "--network", "host", "--pull", "never",
            *self._user(), *_mount(spec.base_dir), *_variables(spec),
            *entrypoint, image, *spec.entrypoint[1:], *spec.command,
        ]  # fmt: skip

    def _user(self) -> Sequence[str]:
        # As root, containers run as root, like SageMaker's. Another user must own the files that they write.
        if os.getuid() == 0:
            return ()
        keep = ("--userns", "keep-id") if self.program == "podman" else ()
        return (*keep, "--user", f"{os.getuid()}:{os.getgid()}")

    def signal(self, name: str, mark: str, number: signal.Signals) -> bool:
        """Send a signal to a container's first process and return whether the container was running."""
        return _output_of(self.program, "kill", "--signal", number.name, name) is not None

    def is_own(self, line: str) -> bool:
        """Return False: these engines add no lines to a container's output."""
        return False


@dataclass(frozen=True)
class Buildah:
    """buildah as root: it needs no daemon and, with chroot isolation, no control groups."""

    discard: Sequence[str] = ("buildah", "rm")

    def image_id(self, image: str) -> str | None:
        """Return the ID of an image, which changes with its content; None if the engine does not have it."""
        found = _buildah_image(image)
        return str(found["FromImageID"]) if found else None

    def command(self, name: str, image: str, spec: ContainerSpec) -> list[str]:
        """Create a container and return the command that runs it in the foreground.

        Raises:
            ImageError: the container cannot be created.
        """
        found = _buildah_image(image)
        if found is None or _output_of("buildah", "from", "--pull-never", "--name", name, image) is None:
            raise ImageError(f"buildah cannot create a container: run `buildah from {image}` for the cause")
        config = found["OCIv1"]["config"]
        entrypoint, command = config.get("Entrypoint") or (), spec.command or config.get("Cmd") or ()
        if spec.entrypoint:
            # The image's Cmd holds the arguments of the replaced entry point.
            entrypoint, command = spec.entrypoint, spec.command
        return [
            "buildah", "run", "--isolation", "chroot", *_mount(spec.base_dir), *_variables(spec),
            name, "--", *BUILDAH_SHELL, *entrypoint, *command,
        ]  # fmt: skip

    def signal(self, name: str, mark: str, number: signal.Signals) -> bool:
        """Send a signal to all processes of a container and return whether the container was running."""
        return signal_marked(mark, number)

    def is_own(self, line: str) -> bool:
        """Return whether a line is buildah's own report of the exit code, which it writes to stderr."""
        return bool(_BUILDAH_MESSAGE.fullmatch(line))


def find_engine() -> Engine:
    """Return the first usable engine: docker, podman, or buildah as root.

    Raises:
        ImageError: no engine is usable.
    """
    for program in ("docker", "podman"):
        if shutil.which(program) and _output_of(program, "info") is not None:
            return Docker(program)
    if shutil.which("buildah") and os.getuid() == 0:
        return Buildah()
    raise ImageError(
        "No container engine is available: start docker or podman, or install buildah and run as root. "
        "The runtime `process` needs no engine"
    )


def _mount(base_dir: Path) -> Sequence[str]:
    return ("--volume", f"{base_dir}:{OPT_ML}")


def _variables(spec: ContainerSpec) -> list[str]:
    return [word for name, value in spec.environment.items() for word in ("--env", f"{name}={value}")]


def _buildah_image(image: str) -> dict[str, Any] | None:
    output = _output_of("buildah", "inspect", "--type", "image", image)
    return dict(json.loads(output)) if output else None


def _output_of(*command: str) -> str | None:
    """Return a command's standard output, or None if it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
