"""The containers' commands run by hand: each in its image's environment, without a job around it."""

import contextlib
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from benchmarks.errors import BenchmarkError, CommandError
from benchmarks.memory import Watch
from localaws.runtimes.container import Container, ContainerSpec
from localaws.runtimes.images import Images
from localaws.runtimes.process import ProcessRuntime
from localaws.settings import HOST

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "containers"
SERVE_LOG = "serve.log"  # in the base folder
COMPILE = "compile"  # an executable of an image that compiles its functions
TOLD_LINES = 15
GRACE_SECONDS = 3.0
HEALTHY_SECONDS = 120.0
PING_SECONDS = 0.05


@dataclass
class Ran:
    """What a command did.

    Attributes:
        seconds: from its start to its end.
        megabytes: its peak of memory.
        lines: what it printed, each with the seconds from the start.
    """

    seconds: float = 0.0
    megabytes: float = 0.0
    lines: list[tuple[float, str]] = field(default_factory=list)

    def seconds_until(self, start: str) -> float:
        """When it printed the line that starts so."""
        return next(at for at, line in self.lines if line.startswith(start))

    def last(self) -> str:
        """Its last lines."""
        return "\n".join(line for _, line in self.lines[-TOLD_LINES:])


class Containers:
    """Runs image folders' commands as the laptop's process runtime does."""

    def __init__(self, environments: Path, images: Path = IMAGES) -> None:
        self._images = images
        self._runtime = ProcessRuntime(Images(images), environments)

    def prepare(self, *images: str) -> None:
        """Make the images' environments as their Dockerfiles do, so that no measurement holds any of it."""
        for image in images:
            self._runtime.prepare(image)
            if (self._images / image / COMPILE).exists():
                with tempfile.TemporaryDirectory() as base:
                    self.run(image, (COMPILE,), Path(base), {})

    def run(self, image: str, command: Sequence[str], base: Path, environment: Mapping[str, str]) -> Ran:
        """Run a command to its end; what it says is the progress.

        Raises:
            CommandError: It exits with another code than 0; the message ends with its last lines.
        """
        ran = Ran()
        base.mkdir(parents=True, exist_ok=True)
        with self._running(image, command, base, environment, ran) as container:
            code = container.wait()
        if code:
            raise CommandError(f"{command[0]} of {image} ended with exit code {code}:\n{ran.last()}")
        return ran

    @contextlib.contextmanager
    def serving(
        self, image: str, base: Path, environment: Mapping[str, str], ping: str = "/ping"
    ) -> Iterator[int]:
        """The port on which `serve` answers; what it says is in SERVE_LOG, and is shown where it fails.

        Raises:
            CommandError: It does not answer, or does not live on; the message ends with its last lines.
        """
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        own = {**environment, "SAGEMAKER_BIND_TO_HOST": HOST, "SAGEMAKER_BIND_TO_PORT": str(port)}
        ran = Ran()
        base.mkdir(parents=True, exist_ok=True)
        with (
            (base / SERVE_LOG).open("w", encoding="utf-8") as log,
            self._running(image, ("serve",), base, own, ran, log) as container,
        ):
            deadline = time.monotonic() + HEALTHY_SECONDS
            while not _healthy(port, ping):
                if container.wait(PING_SECONDS) is not None or time.monotonic() > deadline:
                    container.stop(GRACE_SECONDS)  # after which all that it said is there
                    raise CommandError(f"serve of {image} does not answer {ping}:\n{ran.last()}")
            try:
                yield port
            except (BenchmarkError, OSError) as error:
                container.stop(GRACE_SECONDS)
                raise CommandError(f"serve of {image} failed: {error}\n{ran.last()}") from error

    @contextlib.contextmanager
    def _running(
        self,
        image: str,
        command: Sequence[str],
        base: Path,
        environment: Mapping[str, str],
        ran: Ran,
        log: IO[str] | None = None,
    ) -> Iterator[Container]:
        started = time.monotonic()

        def on_line(line: str) -> None:
            ran.lines.append((time.monotonic() - started, line))
            print(line if log else f"    {line}", file=log, flush=True)

        container = self._runtime.start(ContainerSpec(image, command, base, environment, on_line))
        try:
            with Watch(pid(base)) as watch:
                yield container
                ran.seconds = time.monotonic() - started
            ran.megabytes = watch.megabytes
        finally:
            container.stop(GRACE_SECONDS)


def pid(base: Path) -> int:
    """The process whose base folder this is; 0 if it has ended already."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.environ().get("SAGEMAKER_BASE_DIR") == str(base.resolve()):
                return int(child.pid)
    return 0


def _healthy(port: int, path: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has another loopback
    try:
        with direct.open(f"http://{HOST}:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
