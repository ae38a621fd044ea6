"""An image's folder: what it contains, and the projects beside it that it takes in."""

import hashlib
import re
from pathlib import Path

from localaws.runtimes.container import ImageError

REQUIREMENTS = "requirements.txt"
COMPILED = "__pycache__"
# A file that uv reads too, or a path that it installs; extras, a marker or a comment may follow.
LOCAL_REQUIREMENT = re.compile(
    r"""\s*(?:
        (?:-r|--requirement|-c|--constraint)[\s=]*(?P<included>(?!\S*://)[^\s#]+)
        | (?:(?:-e|--editable)[\s=]*)?(?P<path>\.\.?(?:/[^\s\[;#]*)?)(?=[\s\[;#]|$)
    )""",
    re.VERBOSE,
)


def local_projects(folder: Path) -> list[Path]:
    """What requirements.txt names by a path (`../toolkit`): projects' folders, archives, more requirements.

    Raises:
        ImageError: one is not there.
    """
    files, projects = [folder / REQUIREMENTS], list[Path]()
    for file in files:
        lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
        for found in filter(None, map(LOCAL_REQUIREMENT.match, lines)):
            project = (file.parent / (found["included"] or found["path"])).resolve()
            if not project.exists():
                raise ImageError(f"{file} names {project}, which is not there")
            if project not in projects:
                projects.append(project)
                files += [project] if found["included"] else []
    return projects


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
    """What a folder's own files (or a file) contain, and which can be run, without what tools left."""
    content = hashlib.sha256()
    for path in sorted(path for path in (folder, *folder.rglob("*")) if path.is_file()):
        place = path.relative_to(folder)
        if COMPILED in place.parts or any(part.startswith(".") for part in place.parts[:-1]):
            continue
        runs = bool(path.stat().st_mode & 0o111)
        written = hashlib.sha256(path.read_bytes()).hexdigest()
        content.update(f"{place}\n{runs}\n{written}\n".encode())
    return content.hexdigest()
