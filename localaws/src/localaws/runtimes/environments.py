"""An image folder's virtual environment, made once for each content of its requirements."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import tomllib
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uv

from localaws.runtimes.container import ImageError
from localaws.runtimes.folders import REQUIREMENTS, local_projects, tree_digest

INSTALL_SECONDS = 1800  # a large framework over a slow line
SHOWN_LINES = 15  # of what uv said, in the error
FIND_LINKS = "UV_FIND_LINKS"
# pip's variables that uv reads under names of its own.
OF_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": FIND_LINKS,
}


class Environments:
    """Virtual environments under a cache folder, for any number of threads and processes at once."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir.resolve()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def path(self, folder: Path) -> Path:
        """Where the environment of an image folder is, or will be.

        Raises:
            ImageError: a local project that it requires is not there.
        """
        requirements = folder / REQUIREMENTS
        content = requirements.read_bytes() if requirements.is_file() else b""
        projects = [tree_digest(project) for project in local_projects(folder)]
        identity = "\n".join([sys.version, sys.base_prefix, *projects, ""]).encode()
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
            if (folder / REQUIREMENTS).is_file():
                _uv(
                    folder, "pip", "install", "--compile-bytecode", *_fresh(local_projects(folder)),
                    "--python", str(aside / "bin" / "python"), "-r", REQUIREMENTS,
                )  # fmt: skip
            aside.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _fresh(projects: list[Path]) -> list[str]:
    # uv builds a folder once, and looks for a change in its pyproject.toml only.
    names = [name for project in projects if (name := _project_name(project))]
    return [f"--refresh-package={name}" for name in names]


def _project_name(project: Path) -> str:
    file = project / "pyproject.toml"
    content = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
    return str(content.get("project", {}).get("name", ""))


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    # Packages may run code of their own while they are built: no credentials for them.
    own = {
        name: value
        for name, value in variables.items()
        if not name.startswith("AWS_") and name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }
    pips = {uv_name: variables[name] for name, uv_name in OF_PIP.items() if variables.get(name)}
    if FIND_LINKS in pips:
        pips[FIND_LINKS] = ",".join(pips[FIND_LINKS].split())
    return pips | own


def _uv(folder: Path, *arguments: str) -> None:
    environment = _environment(os.environ)
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
        shown = "\n".join(done.stdout.splitlines()[-SHOWN_LINES:])
        raise ImageError(f"The environment of {folder} cannot be made: uv {arguments[0]} failed:\n{shown}")
