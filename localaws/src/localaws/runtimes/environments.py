"""Create the virtual environment of an image folder, cached by the content of its requirements."""

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

INSTALL_SECONDS = 1800  # enough for a large framework over a slow connection
SHOWN_LINES = 15  # lines of uv's output in the error message
# The folder in an environment where its processes keep bytecode. A process compiles what it imports, for all
# that follow; to compile everything at the installation takes longer.
BYTECODE = "bytecode"
FIND_LINKS = "UV_FIND_LINKS"
# pip's variables and the names under which uv reads them.
UV_NAMES = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": FIND_LINKS,
}


class Environments:
    """Virtual environments in a cache folder; safe for concurrent use by threads and processes."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir.resolve()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def path(self, folder: Path) -> Path:
        """Return the path of an image folder's environment, whether it exists or not.

        Raises:
            ImageError: a local project in its requirements does not exist.
        """
        requirements = folder / REQUIREMENTS
        content = requirements.read_bytes() if requirements.is_file() else b""
        projects = [tree_digest(project) for project in local_projects(folder)]
        identity = "\n".join([sys.version, sys.base_prefix, *projects, ""]).encode()
        return self._cache_dir / f"{folder.name}-{hashlib.sha256(identity + content).hexdigest()[:16]}"

    def make(self, folder: Path) -> Path:
        """Return the path of an image folder's environment and create the environment if necessary.

        Raises:
            ImageError: uv failed; the message ends with the last lines of its output.
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
        # Built in a temporary folder and renamed, so that an existing environment is always complete. This
        # is why the environment must be relocatable.
        temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
        try:
            _uv(folder, "venv", "--relocatable", "--python", sys.executable, str(temporary))
            if (folder / REQUIREMENTS).is_file():
                _uv(
                    folder, "pip", "install", *_refresh_options(local_projects(folder)),
                    "--python", str(temporary / "bin" / "python"), "-r", REQUIREMENTS,
                )  # fmt: skip
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _refresh_options(projects: list[Path]) -> list[str]:
    # uv caches the build of a local project and only compares its pyproject.toml to detect changes.
    names = [name for project in projects if (name := _project_name(project))]
    return [f"--refresh-package={name}" for name in names]


def _project_name(project: Path) -> str:
    file = project / "pyproject.toml"
    content = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
    return str(content.get("project", {}).get("name", ""))


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    # Packages may run arbitrary code during their build, so they must not see AWS credentials.
    own = {
        name: value
        for name, value in variables.items()
        if not name.startswith(("AWS_", "PYTHON")) and name != "VIRTUAL_ENV"
    }
    from_pip = {uv_name: variables[name] for name, uv_name in UV_NAMES.items() if variables.get(name)}
    if FIND_LINKS in from_pip:
        from_pip[FIND_LINKS] = ",".join(from_pip[FIND_LINKS].split())
    return from_pip | own


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
        raise ImageError(f"The environment of {folder} cannot be created: {error}") from error
    if done.returncode != 0:
        shown = "\n".join(done.stdout.splitlines()[-SHOWN_LINES:])
        raise ImageError(f"The environment of {folder} cannot be created: uv {arguments[0]} failed:\n{shown}")
