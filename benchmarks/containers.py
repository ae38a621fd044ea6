"""Run containers' commands directly in their images' environments, without a SageMaker job."""

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
SHOWN_LINES = 15
GRACE_SECONDS = 3.0
HEALTHY_SECONDS = 120.0
PING_SECONDS = 0.05


@dataclass
class Ran:
    """The measurements and output of a command.

    Attributes:
        seconds: from its start to its end.
        megabytes: its peak memory.
        lines: its output lines, each with the seconds since the start.
    """

    seconds: float = 0.0
    megabytes: float = 0.0
    lines: list[tuple[float, str]] = field(default_factory=list)

    def seconds_until(self, start: str) -> float:
        """Return the seconds until the first output line with this beginning."""
        return next(at for at, line in self.lines if line.startswith(start))

    def last(self) -> str:
        """Return the last lines of the output."""
        return "\n".join(line for _, line in self.lines[-SHOWN_LINES:])


class Containers:
    """Run the commands of image folders with the process runtime of localaws."""

    def __init__(self, environments: Path, images: Path = IMAGES) -> None:
        self._images = images
        self._runtime = ProcessRuntime(Images(images), environments)

    def prepare(self, *images: str) -> None:
        """Create the images' environments like their Dockerfiles, before any measurement."""
        for image in images:
            self._runtime.prepare(image)
            if (self._images / image / COMPILE).exists():
                with tempfile.TemporaryDirectory() as base:
                    self.run(image, (COMPILE,), Path(base), {})

    def run(self, image: str, command: Sequence[str], base: Path, environment: Mapping[str, str]) -> Ran:
        """Run a command to its end and print its output.

        Raises:
            CommandError: The exit code is not 0; the message ends with the last lines of the output.
        """
        ran = Ran()
        base.mkdir(parents=True, exist_ok=True)
        with self._running(image, command, base, environment, ran) as container:
            code = container.wait()
        if code:
            raise CommandError(f"{command[0]} of {image} failed with exit code {code}:\n{ran.last()}")
        return ran

    @contextlib.contextmanager
    def serving(
        self, image: str, base: Path, environment: Mapping[str, str], ping: str = "/ping"
    ) -> Iterator[int]:
        """Start `serve`, wait until it is healthy and yield its port; its output is written to SERVE_LOG.

        Raises:
            CommandError: The server is not healthy in time, or the `with` block fails; the message ends with
                the last lines of the server's output.
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
                    container.stop(GRACE_SECONDS)  # afterwards, the output is complete
                    raise CommandError(f"serve of {image} does not respond to {ping}:\n{ran.last()}")
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
    """Return the ID of the process with this base folder; 0 if it has ended."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.environ().get("SAGEMAKER_BASE_DIR") == str(base.resolve()):
                return int(child.pid)
    return 0


def _healthy(port: int, path: str) -> bool:
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with without_proxy.open(f"http://{HOST}:{port}{path}", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
