"""Container engines: what docker, podman and buildah are told, and what they say."""

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

SECONDS = 60  # for what an engine does at once

# buildah tells neither which signal ended a container nor passes one on: a shell in between says 128 + the
# signal, and outlives a SIGTERM that all get.
BUILDAH_SHELL = ("sh", "-c", 'trap : TERM; "$@"; exit $?', "sh")
# What buildah itself adds on stderr to a container's own output.
_BUILDAH_SAYS = re.compile(r"subprocess exited (with status \d+|on \w+)|Error: exit status \d+")


class Engine(Protocol):
    """Runs containers of images that it holds."""

    @property
    def discard(self) -> Sequence[str]:
        """The command that ends and forgets the containers whose names follow."""

    def image_id(self, image: str) -> str | None:
        """What tells an image's content from any other; None if the engine does not hold it."""

    def command(self, name: str, image: str, spec: ContainerSpec) -> list[str]:
        """The command that runs a new container, in the foreground.

        Raises:
            ImageError: the container cannot be made.
        """

    def signal(self, name: str, mark: str, number: signal.Signals) -> bool:
        """Send a running container's processes a signal; whether it was running."""

    def is_own(self, line: str) -> bool:
        """Whether a line of the output is the engine's, not the container's."""


@dataclass(frozen=True)
class Docker:
    """Docker, or Podman, which takes the same words."""

    program: str = "docker"

    @property
    def discard(self) -> Sequence[str]:
        """The command that ends and forgets the containers whose names follow."""
        return (self.program, "rm", "--force")

    def image_id(self, image: str) -> str | None:
        """What tells an image's content from any other; None if the engine does not hold it."""
        output = _output_of(self.program, "image", "inspect", "--format", "{{.Id}}", image)
        return output.strip() if output else None

    def command(self, name: str, image: str, spec: ContainerSpec) -> list[str]:
        """The command that runs a new container, in the foreground."""
        own = ("--entrypoint", spec.entrypoint[0]) if spec.entrypoint else ()
        return [
            self.program, "run", "--name", name, "--network", "host", "--pull", "never",
            *self._user(), *_mount(spec.base_dir), *_variables(spec),
            *own, image, *spec.entrypoint[1:], *spec.command,
        ]  # fmt: skip

    def _user(self) -> Sequence[str]:
        # Root's containers start as root, as SageMaker's do. Another user has to own what a container leaves.
        if os.getuid() == 0:
            return ()
        keep = ("--userns", "keep-id") if self.program == "podman" else ()
        return (*keep, "--user", f"{os.getuid()}:{os.getgid()}")

    def signal(self, name: str, mark: str, number: signal.Signals) -> bool:
        """Send a running container's first process a signal; whether it was running."""
        return _output_of(self.program, "kill", "--signal", number.name, name) is not None

    def is_own(self, line: str) -> bool:
        """Whether a line of the output is the engine's: it keeps to itself."""
        return False


@dataclass(frozen=True)
class Buildah:
    """buildah alone, as root: it needs no daemon, and with chroot isolation no control groups either."""

    discard: Sequence[str] = ("buildah", "rm")

    def image_id(self, image: str) -> str | None:
        """What tells an image's content from any other; None if the engine does not hold it."""
        found = _buildah_image(image)
        return str(found["FromImageID"]) if found else None

    def command(self, name: str, image: str, spec: ContainerSpec) -> list[str]:
        """The command that runs a new container, in the foreground.

        Raises:
            ImageError: the container cannot be made.
        """
        found = _buildah_image(image)
        if found is None or _output_of("buildah", "from", "--pull-never", "--name", name, image) is None:
            raise ImageError(f"buildah cannot make a container: `buildah from {image}` says why")
        config = found["OCIv1"]["config"]
        entrypoint, command = config.get("Entrypoint") or (), spec.command or config.get("Cmd") or ()
        if spec.entrypoint:
            entrypoint, command = spec.entrypoint, spec.command  # the image's arguments are for its own
        return [
            "buildah", "run", "--isolation", "chroot", *_mount(spec.base_dir), *_variables(spec),
            name, "--", *BUILDAH_SHELL, *entrypoint, *command,
        ]  # fmt: skip

    def signal(self, name: str, mark: str, number: signal.Signals) -> bool:
        """Send all processes of a running container a signal; whether it was running."""
        return signal_marked(mark, number)

    def is_own(self, line: str) -> bool:
        """Whether a line of the output is buildah's, which tells the exit code on stderr."""
        return bool(_BUILDAH_SAYS.fullmatch(line))


def find_engine() -> Engine:
    """The first engine that answers.

    Raises:
        ImageError: none does.
    """
    for program in ("docker", "podman"):
        if shutil.which(program) and _output_of(program, "info") is not None:
            return Docker(program)
    if shutil.which("buildah") and os.getuid() == 0:
        return Buildah()
    raise ImageError(
        "No container engine answers: start docker or podman, or install buildah and be root; "
        "the runtime `process` needs none"
    )


def _mount(base_dir: Path) -> Sequence[str]:
    return ("--volume", f"{base_dir}:{OPT_ML}")


def _variables(spec: ContainerSpec) -> list[str]:
    return [word for name, value in spec.environment.items() for word in ("--env", f"{name}={value}")]


def _buildah_image(image: str) -> dict[str, Any] | None:
    output = _output_of("buildah", "inspect", "--type", "image", image)
    return dict(json.loads(output)) if output else None


def _output_of(*command: str) -> str | None:
    """What a command says; None if it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
