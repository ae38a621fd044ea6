"""What an image is made of, and the hash that tells it from any other.

The standard library and no neighbour: whoever builds images imports this file, from wherever it lies.
"""

import hashlib
from pathlib import Path

SHARED = (".dockerignore", "entrypoint")
HASH_DIGITS = 16


def image_folders(containers: Path) -> list[str]:
    """The folders that are images: those with a Dockerfile."""
    return sorted(path.parent.name for path in containers.glob("*/Dockerfile"))


def content_hash(containers: Path, name: str, base_image: str = "") -> str:
    """The hash of an image's sources: other code, other hash.

    Args:
        containers: the folder of all images, which is the builds' context.
        name: the image's folder.
        base_image: what replaces the Dockerfile's own base; one that is named by a tag may change unseen.

    Raises:
        FileNotFoundError: the folder has no Dockerfile, or a local requirement is missing.
    """
    content = hashlib.sha256(f"base {base_image}\n".encode())
    for path in files(containers, name):
        runs = "x" if path.stat().st_mode & 0o100 else "-"
        written = hashlib.sha256(path.read_bytes()).hexdigest()
        content.update(f"{path.relative_to(containers).as_posix()} {runs} {written}\n".encode())
    return content.hexdigest()[:HASH_DIGITS]


def files(containers: Path, name: str) -> list[Path]:
    """An image's files, sorted: its folder's, those of the folders it requires, and what all images share.

    A Dockerfile copies nothing else, so that what is copied is what is hashed.

    Raises:
        FileNotFoundError: the folder has no Dockerfile, or a local requirement is missing.
    """
    folder = containers / name
    if not (folder / "Dockerfile").is_file():
        raise FileNotFoundError(
            f"{folder} has no Dockerfile; the images are {', '.join(image_folders(containers))}"
        )
    found = {containers / shared for shared in SHARED}
    for source in _folders(folder):
        found |= {path for path in source.rglob("*") if path.is_file() and _counts(path.relative_to(source))}
    return sorted(found)


def _folders(folder: Path) -> list[Path]:
    """A folder, those beside it that its requirements name by ../<folder>, and theirs."""
    folders = [folder]
    for source in folders:
        for requirements in sorted(source.glob("requirements*.txt")):
            for line in requirements.read_text("utf-8").splitlines():
                if line.startswith("../"):
                    named = folder.parent / line.partition(" #")[0].strip().removeprefix("../").rstrip("/")
                    if not named.is_dir():
                        raise FileNotFoundError(f"{requirements} names {line}: there is no folder {named}")
                    folders += [named] if named not in folders else []
    return folders


def _counts(path: Path) -> bool:
    """Whether a file goes into an image, or says how it is built; .dockerignore says the same."""
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return not hidden and path.suffix not in (".md", ".pyc")
