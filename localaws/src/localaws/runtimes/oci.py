"""Run container images with docker, podman or buildah."""

import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from localaws.runtimes.container import ContainerSpec, ImageError
from localaws.runtimes.engines import Engine
from localaws.runtimes.guard import MARK
from localaws.runtimes.process import Guard, ProcessContainer, network_variables

POLL_SECONDS = 0.1  # between attempts to stop a container that the engine is still creating


class OciRuntime:
    """Run images from an engine's local storage; images are never pulled."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._guard = Guard(engine.discard)

    def prepare(self, image: str) -> None:
        """Check that the engine has the image.

        Raises:
            ImageError: the engine does not have the image.
        """
        self._find(image)

    def digest(self, image: str) -> str:
        """Return the image's ID, which the engine derives from its content.

        Raises:
            ImageError: the engine does not have the image.
        """
        return self._find(image)[1]

    def start(self, spec: ContainerSpec) -> "OciContainer":
        """Start a container.

        Raises:
            ImageError: the engine does not have the image, or cannot create a container from it.
        """
        image, _ = self._find(spec.image)
        name = f"localaws-{uuid.uuid4().hex}"
        mark = self._guard.new_mark()
        environment = {**network_variables(), **spec.environment, MARK: mark}
        spec = replace(spec, base_dir=spec.base_dir.resolve(), environment=environment)
        self._guard.start()
        self._guard.add(name)
        try:
            process = subprocess.Popen(
                self._engine.command(name, image, spec),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ImageError) as error:
            _discard(self._engine, name)
            self._guard.remove(name)
            raise ImageError(f"Image {image} cannot be started: {error}") from error
        return OciContainer(process, name, mark, spec.on_line, self._guard, self._engine)

    def _find(self, image: str) -> tuple[str, str]:
        """Return the name under which the engine stores an image, and the image's ID.

        The names of locally built images have no registry. A registry is recognized by the dot in its host.
        """
        registry, _, rest = image.partition("/")
        local = rest if "." in registry else image
        for name in dict.fromkeys((image, local)):
            if image_id := self._engine.image_id(name):
                return name, image_id
        raise ImageError(f"The container engine has no image {image} or {local}: build it or pull it")


class OciContainer(ProcessContainer):
    """An engine's foreground command and the container that it runs."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        name: str,
        mark: str,
        on_line: Callable[[str], None],
        guard: Guard,
        engine: Engine,
    ) -> None:
        self._name = name
        self._engine = engine

        def on_container_line(line: str) -> None:
            if not engine.is_own(line):
                on_line(line)

        super().__init__(process, mark, on_container_line, guard)

    def stop(self, grace: float) -> int:
        """Send SIGTERM, and after `grace` seconds SIGKILL, to all its processes; return the exit code."""
        deadline = time.monotonic() + grace
        # While the engine is still creating the container, no process can receive the signal.
        while not self._engine.signal(self._name, self._mark, signal.SIGTERM):
            if self._ended.wait(POLL_SECONDS) or time.monotonic() > deadline:
                break
        if not self._ended.wait(max(0.0, deadline - time.monotonic())):
            self._signal(signal.SIGKILL)  # first, or the engine could exit by itself with another code
            self._engine.signal(self._name, self._mark, signal.SIGKILL)
        return self.wait() or 0

    def _clear(self) -> None:
        super()._clear()
        _discard(self._engine, self._name)
        self._guard.remove(self._name)


def _discard(engine: Engine, name: str) -> None:
    subprocess.run([*engine.discard, name], stdin=subprocess.DEVNULL, capture_output=True)
