"""What holds of an image's folder before anything runs."""

import os
import re
from pathlib import Path

from localaws.container_check.bench import Bench
from localaws.container_check.clauses import clause
from localaws.container_check.errors import Broken, Noted, Unchecked

PINNED = re.compile(r"^[A-Za-z0-9._-]+(\[[^]]*\])?\s*(==|@)")
LOCAL = ("./", "../", "-")  # a folder beside it, or an option of pip's
SHELL_FORM = re.compile(r"^\s*(ENTRYPOINT|CMD)\s+(?![\s\[])(.*)$", re.MULTILINE | re.IGNORECASE)
LABEL = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true"


def executables(folder: Path) -> frozenset[str]:
    """The commands of a folder: its executable files without a suffix."""
    return frozenset(
        path.name
        for path in folder.iterdir()
        if path.is_file() and not path.suffix and path.name[0] != "." and os.access(path, os.X_OK)
    )


@clause(
    "folder.requirements",
    "Pins every distribution in requirements.txt",
    "Write name==version, for what those distributions need too.",
)
def pins(bench: Bench) -> str:
    """So that the image of tomorrow is the image of today."""
    path = _folder(bench) / "requirements.txt"
    if not path.is_file():
        raise Noted("there is no requirements.txt: it runs on the standard library, or brings its own image")
    lines = (line.partition(" #")[0].strip() for line in path.read_text().splitlines())
    wanted = [line for line in lines if line and not line.startswith(("#", *LOCAL))]
    if loose := [line for line in wanted if not PINNED.match(line)]:
        raise Broken(f"not pinned: {', '.join(loose)}")
    return f"{len(wanted)} pinned"


@clause(
    "folder.dockerfile",
    "Has a Dockerfile whose ENTRYPOINT and CMD hand on signals",
    'Write them as lists, CMD ["serve"]: a shell between keeps SIGTERM for itself.',
)
def has_dockerfile(bench: Bench) -> None:
    """How the folder becomes an image."""
    path = _folder(bench) / "Dockerfile"
    if not path.is_file():
        raise Noted("there is no Dockerfile: it runs as a folder, and not on AWS")
    text = path.read_text()
    if found := SHELL_FORM.search(text):
        raise Broken(f"{found[0].strip()} is run by a shell")
    if bench.has("serve") and LABEL not in text:
        raise Noted(f"without LABEL {LABEL} it cannot share an endpoint with other containers")


CLAUSES = (pins, has_dockerfile)


def _folder(bench: Bench) -> Path:
    if bench.folder is None:
        raise Unchecked("an image was named, no folder")
    return bench.folder
