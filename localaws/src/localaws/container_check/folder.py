"""Clauses on an image's folder, which are checked without running it."""

import os
import re
from pathlib import Path

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted, Unchecked

PINNED = re.compile(r"^[A-Za-z0-9._-]+(\[[^]]*\])?\s*(==|@)")
LOCAL = ("./", "../", "-")  # a local folder or an option of pip
SHELL_FORM = re.compile(r"^\s*(ENTRYPOINT|CMD)\s+(?![\s\[])(.*)$", re.MULTILINE | re.IGNORECASE)
LABEL = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true"


def executables(folder: Path) -> frozenset[str]:
    """Return a folder's commands: the names of its executable files without a suffix."""
    return frozenset(
        path.name
        for path in folder.iterdir()
        if path.is_file() and not path.suffix and path.name[0] != "." and os.access(path, os.X_OK)
    )


@clause(
    "folder.requirements",
    "Pins every distribution in requirements.txt",
    "Write name==version for every distribution, including indirect dependencies.",
)
def pins(bench: Bench) -> str:
    """A rebuilt image must contain the same distributions."""
    path = _folder(bench) / "requirements.txt"
    if not path.is_file():
        raise Noted("requirements.txt does not exist: only the standard library or a custom image can work")
    lines = (line.partition(" #")[0].strip() for line in path.read_text().splitlines())
    required = [line for line in lines if line and not line.startswith(("#", *LOCAL))]
    if unpinned := [line for line in required if not PINNED.match(line)]:
        raise Broken(f"not pinned: {', '.join(unpinned)}")
    return f"{len(required)} pinned"


@clause(
    "folder.dockerfile",
    "Has a Dockerfile whose ENTRYPOINT and CMD pass on signals",
    'Write them as lists, CMD ["serve"]: a shell does not pass SIGTERM on.',
)
def has_dockerfile(bench: Bench) -> None:
    """The image is built from the Dockerfile."""
    path = _folder(bench) / "Dockerfile"
    if not path.is_file():
        raise Noted("Dockerfile does not exist: the folder runs locally, but not on AWS")
    text = path.read_text()
    if found := SHELL_FORM.search(text):
        raise Broken(f"{found[0].strip()} is run by a shell")
    if bench.has("serve") and LABEL not in text:
        raise Noted(f"without LABEL {LABEL} it cannot share an endpoint with other containers")


CLAUSES = (pins, has_dockerfile)


def _folder(bench: Bench) -> Path:
    if bench.folder is None:
        raise Unchecked("the check has an image, but no folder")
    return bench.folder
