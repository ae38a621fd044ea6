"""An image folder's virtual environment, made once for each content of its requirements.txt."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uv

from localaws.runtimes.container import ImageError

INSTALL_SECONDS = 1800  # a large framework over a slow line
TOLD_LINES = 15  # of what uv said, in the error


class Environments:
    """Virtual environments under a cache folder, for any number of threads and processes at once."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir.resolve()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def path(self, folder: Path) -> Path:
        """Where the environment of an image folder is, or will be."""
        requirements = folder / "requirements.txt"
        content = requirements.read_bytes() if requirements.is_file() else b""
        identity = f"{sys.version}\n{sys.base_prefix}\n".encode()
        return self._cache_dir / f"{folder.name}-{hashlib.sha256(identity + content).hexdigest()[:16]}"

    def make(self, folder: Path) -> Path:
        """The environment of an image folder, made now if it is not there.

        Raises:
            ImageError: uv cannot make it; the message ends with uv's last lines.
        """
        path = self.path(folder)
        if path.is_dir():
            return path
        with self._lock(path):
            if not path.is_dir():
                self._build(folder, path)
        return path

    @contextmanager
    def _lock(self, path: Path) -> Iterator[None]:
        self._cache_dir.mkdir(parents=True, exist_ok=True)
        with self._locks[path.name], path.with_name(f"{path.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _build(self, folder: Path, path: Path) -> None:
        # Built aside and renamed, so that an environment that is there is whole; hence relocatable.
        aside = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
        try:
            _uv(folder, "venv", "--relocatable", "--python", sys.executable, str(aside))
            if (folder / "requirements.txt").is_file():
                _uv(
                    folder, "pip", "install", "--compile-bytecode",
                    "--python", str(aside / "bin" / "python"), "-r", "requirements.txt",
                )  # fmt: skip
            aside.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _uv(folder: Path, *arguments: str) -> None:
    # Packages may run code of their own while they are built: no credentials for them.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }
    command = [uv.find_uv_bin(), *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageError(f"The environment of {folder} cannot be made: {error}") from error
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-TOLD_LINES:])
        raise ImageError(f"The environment of {folder} cannot be made: uv {arguments[0]} failed:\n{said}")
