"""Containers as what they are: images, run by docker, podman or buildah."""

import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from localaws.runtimes.container import ContainerSpec, ImageError
from localaws.runtimes.engines import Engine
from localaws.runtimes.guard import MARK
from localaws.runtimes.process import Guard, ProcessContainer, outward

LOOK_SECONDS = 0.1  # between two looks whether a container is there to be stopped


class OciRuntime:
    """Runs images that an engine holds; none is ever pulled."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._guard = Guard(engine.discard)

    def prepare(self, image: str) -> None:
        """Look whether the engine holds the image.

        Raises:
            ImageError: it does not.
        """
        self._find(image)

    def digest(self, image: str) -> str:
        """The engine's number of the image, which follows from its content.

        Raises:
            ImageError: the engine does not hold it.
        """
        return self._find(image)[1]

    def start(self, spec: ContainerSpec) -> "OciContainer":
        """Start a container.

        Raises:
            ImageError: the engine does not hold the image, or cannot make a container of it.
        """
        image, _ = self._find(spec.image)
        name = f"localaws-{uuid.uuid4().hex}"
        mark = self._guard.new_mark()
        environment = {**outward(), **spec.environment, MARK: mark}
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
        """The name under which the engine holds an image, and its number.

        What was built here has no registry in its name, which a host's has a dot in.
        """
        registry, _, rest = image.partition("/")
        local = rest if "." in registry else image
        for name in dict.fromkeys((image, local)):
            if number := self._engine.image_id(name):
                return name, number
        raise ImageError(f"The engine holds no image {image}, nor {local}: build it, or pull it")


class OciContainer(ProcessContainer):
    """An engine's command in the foreground, and the container that it runs."""

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

        def on_its_line(line: str) -> None:
            if not engine.is_own(line):
                on_line(line)

        super().__init__(process, mark, on_its_line, guard)

    def stop(self, grace: float) -> int:
        """SIGTERM, then after `grace` seconds SIGKILL, for everything that it started; the exit code."""
        deadline = time.monotonic() + grace
        # The engine may still be making it: then there is nobody yet to ask.
        while not self._engine.signal(self._name, self._mark, signal.SIGTERM):
            if self._ended.wait(LOOK_SECONDS) or time.monotonic() > deadline:
                break
        if not self._ended.wait(max(0.0, deadline - time.monotonic())):
            self._signal(signal.SIGKILL)  # first, or the engine could end by itself with a code of its own
            self._engine.signal(self._name, self._mark, signal.SIGKILL)
        return self.wait() or 0

    def _clear(self) -> None:
        super()._clear()
        _discard(self._engine, self._name)
        self._guard.remove(self._name)


def _discard(engine: Engine, name: str) -> None:
    subprocess.run([*engine.discard, name], stdin=subprocess.DEVNULL, capture_output=True)
