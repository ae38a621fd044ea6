"""Containers as processes of this machine: no Docker, no root.

An image is a folder. Its environment is a virtual one, and /opt/ml is a folder of the job's own, which the
process learns from SAGEMAKER_BASE_DIR.
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
from localaws.runtimes.environments import Environments
from localaws.runtimes.guard import MARK, kill_marked
from localaws.runtimes.images import Images
from localaws.runtimes.output import Lines

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
READ_BYTES = 65_536
OUTPUT_SECONDS = 5.0  # how long output may go on after the process has ended
LOOPBACK = "127.0.0.1,localhost"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
# A container inherits nothing of the server's environment but its way to the network, and which GPUs to see.
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
    """Runs an image's folder as a process."""

    def __init__(self, images: Images, cache_dir: Path) -> None:
        self._images = images
        self._environments = Environments(cache_dir)
        self._guard = Guard()

    def prepare(self, image: str) -> None:
        """Make the image's environment, if it is not there yet.

        Raises:
            ImageError: there is no such image, or its environment cannot be made.
        """
        self._environments.make(self._images.folder(image))

    def digest(self, image: str) -> str:
        """What tells the image's files from any others.

        Raises:
            ImageError: there is no such image.
        """
        return self._images.digest(image)

    def start(self, spec: ContainerSpec) -> "ProcessContainer":
        """Start a container.

        Raises:
            ImageError: the image or the command is not there, or cannot be run.
        """
        folder = self._images.folder(spec.image)
        bin_dir = self._environments.make(folder) / "bin"
        base_dir = spec.base_dir.resolve()
        mark = self._guard.new_mark()
        environment = {
            **_environment(spec.environment, base_dir, f"{folder}:{bin_dir}:{SYSTEM_PATH}"),
            MARK: mark,
        }
        words = [_translated(word, base_dir) for word in (*spec.entrypoint, *spec.command)]
        self._guard.start()
        try:
            process = subprocess.Popen(
                [_executable(words, folder, environment["PATH"], spec.image), *words[1:]],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ImageError(f"{words[0]!r} of image {spec.image} cannot be started: {error}") from error
        return ProcessContainer(process, mark, spec.on_line, self._guard)


class ProcessContainer:
    """A process that leads a group, all that inherits its mark, and their output."""

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
        """The exit code, as a shell tells it, once all output is told; None if `timeout` was too short."""
        if not self._ended.wait(timeout):
            return None
        code = self._process.returncode
        return 128 - code if code < 0 else code

    def stop(self, grace: float) -> int:
        """SIGTERM, then after `grace` seconds SIGKILL, for everything that it started; the exit code."""
        self._signal(signal.SIGTERM)
        if not self._ended.wait(grace):
            self._signal(signal.SIGKILL)
        return self.wait() or 0

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:  # afterwards the group's number may be another's
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
        # As in a container, nothing outlives the first process. The group is ended before the process is
        # reaped where the system allows it, since its number is free afterwards; what left the group is
        # found by the mark.
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
    """Ends the containers if this process is killed: see guard.py.

    An engine's containers are ended by its command `discard`, which takes their names.
    """

    def __init__(self, discard: Sequence[str] = ()) -> None:
        self._discard = discard
        self._lock = threading.Lock()
        self._mark = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Be there before the first container, so that none is unguarded for longer than a blink."""
        with self._lock:
            if self._process is None:
                self._process = _start_guard(self._mark, self._discard)
                weakref.finalize(self, _end_guard, self._process)

    def new_mark(self) -> str:
        """A container's mark, which starts with the owner's."""
        return f"{self._mark}-{uuid.uuid4().hex}"

    def add(self, container: str) -> None:
        """Watch over a process group, by its number, or over an engine's container, by its name."""
        self._send(f"+{container}\n")

    def remove(self, container: str) -> None:
        """It has ended: its number may belong to others from now on."""
        self._send(f"-{container}\n")

    def _send(self, line: str) -> None:
        with self._lock, suppress(BrokenPipeError, ValueError):  # ValueError: closed, as this process ends
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


def _start_guard(mark: str, discard: Sequence[str]) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("guard.py")
    # A session of its own: the terminal's Ctrl-C must not end the guard before the guarded.
    return subprocess.Popen(
        [sys.executable, "-I", str(script), mark, *discard],
        cwd="/",
        env=dict(os.environ) if discard else {},  # an engine finds its storage or its service by it
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


def outward(names: Sequence[str] = PROXIES) -> dict[str, str]:
    """The way out to the network, of this process's variables; none leads through a proxy to this machine."""
    found = {name: os.environ[name] for name in names if name in os.environ}
    if any(name in PROXIES for name in found):
        exempt = found.get("no_proxy") or found.get("NO_PROXY", "")
        found["no_proxy"] = found["NO_PROXY"] = f"{exempt},{LOOPBACK}".strip(",")
    return found


def _environment(own: Mapping[str, str], base_dir: Path, path: str) -> dict[str, str]:
    temporary = base_dir / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        **outward(INHERITED),
        "PATH": path,
        "HOME": str(base_dir),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # an image's folder is never written to
        **{name: _translated(value, base_dir) for name, value in own.items()},
        "SAGEMAKER_BASE_DIR": str(base_dir),
    }


def _translated(text: str, base_dir: Path) -> str:
    return _OPT_ML_PATH.sub(lambda _: str(base_dir), text)


def _executable(words: list[str], folder: Path, path: str, image: str) -> str:
    if not words:
        raise ImageError(f"No command was given for image {image}")
    word = words[0]
    found = shutil.which(str(folder / word) if "/" in word else word, path=path)
    if found is None:
        raise ImageError(
            f"Image {image} has no executable {word!r}: {folder} has {_names(folder)}, "
            "and neither its environment nor the system has it."
        )
    return found


def _names(folder: Path) -> str:
    files = (file for file in folder.iterdir() if file.is_file() and os.access(file, os.X_OK))
    return ", ".join(sorted(file.name for file in files)) or "no executables"
