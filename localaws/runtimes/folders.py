"""An image's folder: what it contains, and the projects beside it that it takes in."""

import hashlib
from pathlib import Path

from localaws.runtimes.container import ImageError

REQUIREMENTS = "requirements.txt"
COMPILED = "__pycache__"


def local_projects(folder: Path) -> list[Path]:
    """The folders that lines of requirements.txt name by a path (`../toolkit`), as pip and uv read them.

    Raises:
        ImageError: one is not there.
    """
    file = folder / REQUIREMENTS
    lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
    words = [line.partition(" #")[0].removeprefix("-e ").strip() for line in lines]
    found = [(folder / word).resolve() for word in words if word.startswith(("./", "../"))]
    for project in found:
        if not project.exists():
            raise ImageError(f"{file} names {project}, which is not there")
    return found


def digest(folder: Path) -> str:
    """What a folder and its local projects contain, and which files can be run: other code, other digest.

    Raises:
        ImageError: a local project is not there.
    """
    content = hashlib.sha256(tree_digest(folder).encode())
    for project in local_projects(folder):
        content.update(tree_digest(project).encode())
    return content.hexdigest()


def tree_digest(folder: Path) -> str:
    """What a folder's own files contain, and which of them can be run, without what tools left."""
    content = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = path.relative_to(folder)
        if COMPILED in place.parts or any(part.startswith(".") for part in place.parts[:-1]):
            continue
        runs = bool(path.stat().st_mode & 0o111)
        written = hashlib.sha256(path.read_bytes()).hexdigest()
        content.update(f"{place}\n{runs}\n{written}\n".encode())
    return content.hexdigest()
