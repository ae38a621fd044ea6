"""Run containers as local processes, without Docker and without root.

An image is a folder with a virtual environment. /opt/ml is a folder per job, whose path the process gets in
SAGEMAKER_BASE_DIR.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from localaws.runtimes.container import OPT_ML, ContainerSpec, ImageError
from localaws.runtimes.environments import BYTECODE, Environments
from localaws.runtimes.guard import MARK, kill_marked
from localaws.runtimes.images import Images
from localaws.runtimes.output import Lines

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
READ_BYTES = 65_536
OUTPUT_SECONDS = 5.0  # how long to wait for the end of the output after the process has exited
LOOPBACK = "127.0.0.1,localhost"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
# The only variables that a container inherits from the server: network access and visible GPUs.
INHERITED = (
    *PROXIES,
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "CUDA_VISIBLE_DEVICES",
)
_OPT_ML_PATH = re.compile(rf"(?:^|(?<=[=:])){re.escape(OPT_ML)}(?=/|$)")


class ProcessRuntime:
    """Run an image's folder as a process."""

    def __init__(self, images: Images, cache_dir: Path) -> None:
        self._images = images
        self._environments = Environments(cache_dir)
        self._guard = Guard()

    def prepare(self, image: str) -> None:
        """Create the image's environment if it does not exist.

        Raises:
            ImageError: the image does not exist, or its environment cannot be created.
        """
        self._environments.make(self._images.folder(image))

    def digest(self, image: str) -> str:
        """Return a digest of the image's files.

        Raises:
            ImageError: the image does not exist.
        """
        return self._images.digest(image)

    def start(self, spec: ContainerSpec) -> "ProcessContainer":
        """Start a container.

        Raises:
            ImageError: the image or the command does not exist, or the command cannot be run.
        """
        folder = self._images.folder(spec.image)
        installed = self._environments.make(folder)
        base_dir = spec.base_dir.resolve()
        mark = self._guard.new_mark()
        environment = {
            "PYTHONPYCACHEPREFIX": str(installed / BYTECODE),  # beside the sources it would change the image
            **_environment(spec.environment, base_dir, f"{folder}:{installed / 'bin'}:{SYSTEM_PATH}"),
            MARK: mark,
        }
        arguments = [_translated(argument, base_dir) for argument in (*spec.entrypoint, *spec.command)]
        self._guard.start()
        try:
            process = subprocess.Popen(
                [_executable(arguments, folder, environment["PATH"], spec.image), *arguments[1:]],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ImageError(f"{arguments[0]!r} of image {spec.image} cannot be started: {error}") from error
        return ProcessContainer(process, mark, spec.on_line, self._guard)


class ProcessContainer:
    """A process with its process group, all processes that inherit its mark, and their output."""

    def __init__(
        self, process: subprocess.Popen[bytes], mark: str, on_line: Callable[[str], None], guard: "Guard"
    ) -> None:
        self._process = process
        self._mark = mark
        self._guard = guard
        self._lines = Lines(on_line)
        self._ended = threading.Event()
        guard.add(str(process.pid))
        name = f"container {process.pid}"
        self._reader = threading.Thread(target=self._read, name=f"{name} output", daemon=True)
        self._reader.start()
        threading.Thread(target=self._reap, name=name, daemon=True).start()

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code in shell notation after all output was read; None after `timeout` seconds."""
        if not self._ended.wait(timeout):
            return None
        code = self._process.returncode
        return 128 - code if code < 0 else code

    def stop(self, grace: float) -> int:
        """Send SIGTERM, and after `grace` seconds SIGKILL, to all its processes; return the exit code."""
        self._signal(signal.SIGTERM)
        if not self._ended.wait(grace):
            self._signal(signal.SIGKILL)
        return self.wait() or 0

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:  # afterwards, the group ID may be reused
            _signal_group(self._process.pid, number)

    def _read(self) -> None:
        stdout = self._process.stdout
        if stdout is None:
            return
        try:
            while chunk := os.read(stdout.fileno(), READ_BYTES):
                self._lines.feed(chunk)
        finally:
            self._lines.close()
            stdout.close()

    def _reap(self) -> None:
        # As in a container, no process outlives the first one. Where the system allows it, the group is
        # killed before the process is reaped, since the group ID can be reused afterwards. Processes that
        # left the group are found by their mark.
        pid = self._process.pid
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            _signal_group(pid, signal.SIGKILL)
            self._process.wait()
        else:
            self._process.wait()
            _signal_group(pid, signal.SIGKILL)
        self._clear()
        self._reader.join(OUTPUT_SECONDS)
        self._ended.set()

    def _clear(self) -> None:
        kill_marked(self._mark)
        self._guard.remove(str(self._process.pid))


class Guard:
    """Run the script guard.py, which kills the containers if this process dies.

    An engine's containers are removed with its command `discard`, followed by their names.
    """

    def __init__(self, discard: Sequence[str] = ()) -> None:
        self._discard = discard
        self._lock = threading.Lock()
        self._mark = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the guard process, before the first container so that no container runs without it."""
        with self._lock:
            if self._process is None:
                self._process = _start_guard(self._mark, self._discard)
                weakref.finalize(self, _end_guard, self._process)

    def new_mark(self) -> str:
        """Return a new mark for a container; it starts with the owner's mark."""
        return f"{self._mark}-{uuid.uuid4().hex}"

    def add(self, container: str) -> None:
        """Register a process group by its ID, or an engine's container by its name."""
        self._send(f"+{container}\n")

    def remove(self, container: str) -> None:
        """Unregister an exited container, since its process group ID may be reused."""
        self._send(f"-{container}\n")

    def _send(self, line: str) -> None:
        with self._lock, suppress(BrokenPipeError, ValueError):  # ValueError: the pipe is closed at exit
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


def _start_guard(mark: str, discard: Sequence[str]) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("guard.py")
    # In a new session: Ctrl-C in the terminal must not stop the guard before the containers.
    return subprocess.Popen(
        [sys.executable, "-I", str(script), mark, *discard],
        cwd="/",
        env=dict(os.environ) if discard else {},  # an engine needs it to find its storage or daemon
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end_guard(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def network_variables(names: Sequence[str] = PROXIES) -> dict[str, str]:
    """Return this process's variables of the names, with this machine exempt from any proxy."""
    found = {name: os.environ[name] for name in names if name in os.environ}
    if any(name in PROXIES for name in found):
        exempt = found.get("no_proxy") or found.get("NO_PROXY", "")
        found["no_proxy"] = found["NO_PROXY"] = f"{exempt},{LOOPBACK}".strip(",")
    return found


def _environment(own: Mapping[str, str], base_dir: Path, path: str) -> dict[str, str]:
    temporary = base_dir / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        **network_variables(INHERITED),
        "PATH": path,
        "HOME": str(base_dir),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        **{name: _translated(value, base_dir) for name, value in own.items()},
        "SAGEMAKER_BASE_DIR": str(base_dir),
    }


def _translated(text: str, base_dir: Path) -> str:
    return _OPT_ML_PATH.sub(lambda _: str(base_dir), text)


def _executable(arguments: list[str], folder: Path, path: str, image: str) -> str:
    if not arguments:
        raise ImageError(f"No command for image {image}")
    program = arguments[0]
    found = shutil.which(str(folder / program) if "/" in program else program, path=path)
    if found is None:
        raise ImageError(
            f"Image {image} has no executable {program!r}: {folder} has {_names(folder)}, and the program is "
            "neither in the image's environment nor in the system's path."
        )
    return found


def _names(folder: Path) -> str:
    files = (file for file in folder.iterdir() if file.is_file() and os.access(file, os.X_OK))
    return ", ".join(sorted(file.name for file in files)) or "no executables"
