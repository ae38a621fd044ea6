"""The files that an image is built from, and their hash, which is part of the image's tag.

This file uses the standard library only and imports no neighbour: `ProvideImages` runs it from the layer that
holds containers/.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

SHARED = (".dockerignore", "entrypoint")
HASH_DIGITS = 16
# Another requirements file, or a path to install; extras, a marker or a comment may follow.
LOCAL_REQUIREMENT = re.compile(
    r"""\s*(?:
        (?:-r|--requirement|-c|--constraint)[\s=]*(?P<included>(?!\S*://)[^\s#]+)
        | (?:(?:-e|--editable)[\s=]*)?(?P<path>\.\.?(?:/[^\s\[;#]*)?)(?=[\s\[;#]|$)
    )""",
    re.VERBOSE,
)


def image_folders(containers: Path) -> list[str]:
    """Return the folders that are images: those with a Dockerfile."""
    return sorted(path.parent.name for path in containers.glob("*/Dockerfile"))


def content_hash(containers: Path, name: str, base_image: str = "", arguments: Sequence[str] = ()) -> str:
    """Return the hash of an image's sources and of its build's arguments.

    Args:
        containers: the folder of all images, which is the context of the builds.
        name: the image's folder.
        base_image: replaces the Dockerfile's own base; behind a tag it may change while the hash stays.
        arguments: those of the build that change the image.

    Raises:
        FileNotFoundError: the folder has no Dockerfile, or a local requirement is missing.
    """
    lines = "".join(f"argument {argument!r}\n" for argument in arguments)
    content = hashlib.sha256(f"base {base_image}\n{lines}".encode())
    for path in files(containers, name):
        runs = "x" if path.stat().st_mode & 0o100 else "-"
        written = hashlib.sha256(path.read_bytes()).hexdigest()
        content.update(f"{path.relative_to(containers).as_posix()} {runs} {written}\n".encode())
    return content.hexdigest()[:HASH_DIGITS]


def files(containers: Path, name: str) -> list[Path]:
    """Return an image's files, sorted: its own folder's, those that it requires, and the shared ones.

    A Dockerfile can copy nothing else, so everything that is copied is in the hash.

    Raises:
        FileNotFoundError: the folder has no Dockerfile, or a local requirement is missing.
    """
    folder = containers / name
    if not (folder / "Dockerfile").is_file():
        raise FileNotFoundError(
            f"{folder} has no Dockerfile; the images are {', '.join(image_folders(containers))}"
        )
    found = {containers / shared for shared in SHARED}
    for source in _sources(folder):
        if source.is_file():
            found.add(source)
        found |= {path for path in source.rglob("*") if path.is_file() and _counts(path.relative_to(source))}
    return sorted(found)


def _sources(folder: Path) -> list[Path]:
    """Return a folder, what its requirements name by a path, and what that requires in turn."""
    containers, found = folder.parent, [folder]
    for source in found:
        for requirements in sorted(source.glob("requirements*.txt")) if source.is_dir() else [source]:
            for path in local_requirements(requirements):
                named = Path(os.path.normpath(requirements.parent / path))
                if not named.exists() or not named.is_relative_to(containers):
                    raise FileNotFoundError(
                        f"{requirements} names {path}: there is no {named} in {containers}"
                    )
                found += [named] if named not in found else []
    return found


def local_requirements(file: Path) -> list[str]:
    """Return the paths that a requirements.txt names, as they are written; an archive has none."""
    lines = file.read_text("utf-8").splitlines() if file.suffix == ".txt" else []
    found = [match for line in lines if (match := LOCAL_REQUIREMENT.match(line))]
    return [match["included"] or match["path"] for match in found]


def _counts(path: Path) -> bool:
    """Return whether a file can change an image; .dockerignore has the same rule."""
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return not hidden and path.suffix not in (".md", ".pyc")
