"""Read an image's folder: the digest of its content and the local projects in its requirements."""

import hashlib
import re
from pathlib import Path

from localaws.runtimes.container import ImageError

REQUIREMENTS = "requirements.txt"
COMPILED = "__pycache__"
# A line that includes another file, or a path to install; extras, a marker or a comment can follow.
LOCAL_REQUIREMENT = re.compile(
    r"""\s*(?:
        (?:-r|--requirement|-c|--constraint)[\s=]*(?P<included>(?!\S*://)[^\s#]+)
        | (?:(?:-e|--editable)[\s=]*)?(?P<path>\.\.?(?:/[^\s\[;#]*)?)(?=[\s\[;#]|$)
    )""",
    re.VERBOSE,
)


def local_projects(folder: Path) -> list[Path]:
    """Return the paths (such as `../toolkit`) in requirements.txt: projects, archives and included files.

    Raises:
        ImageError: a path does not exist.
    """
    files, projects = [folder / REQUIREMENTS], list[Path]()
    for file in files:
        lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
        for found in filter(None, map(LOCAL_REQUIREMENT.match, lines)):
            project = (file.parent / (found["included"] or found["path"])).resolve()
            if not project.exists():
                raise ImageError(f"{file} refers to {project}, which does not exist")
            if project not in projects:
                projects.append(project)
                files += [project] if found["included"] else []
    return projects


def digest(folder: Path) -> str:
    """Return a digest of the content and executable bits of a folder and its local projects.

    Raises:
        ImageError: a local project does not exist.
    """
    content = hashlib.sha256(tree_digest(folder).encode())
    for project in local_projects(folder):
        content.update(tree_digest(project).encode())
    return content.hexdigest()


def tree_digest(folder: Path) -> str:
    """Return a digest of the files in a folder (or of one file), without hidden folders and bytecode."""
    content = hashlib.sha256()
    for path in sorted(path for path in (folder, *folder.rglob("*")) if path.is_file()):
        relative = path.relative_to(folder)
        if COMPILED in relative.parts or any(part.startswith(".") for part in relative.parts[:-1]):
            continue
        executable = bool(path.stat().st_mode & 0o111)
        file_digest = hashlib.sha256(path.read_bytes()).hexdigest()
        content.update(f"{relative}\n{executable}\n{file_digest}\n".encode())
    return content.hexdigest()
