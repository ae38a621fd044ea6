"""Image URIs, and the folders that stand for them."""

import hashlib
from pathlib import Path

from localaws.runtimes.container import ImageError


class Images:
    """The images of a folder: each sub-folder is one, under the last part of its repository's name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def folder(self, image: str) -> Path:
        """The folder of an image's URI, whatever its registry, tag and digest.

        Raises:
            ImageError: no folder has the repository's name.
        """
        name = repository_name(image)
        folder = self._folder / name
        if name in ("", ".", "..") or not folder.is_dir():
            raise ImageError(
                f"There is no image {image}: {self._folder} has no folder {name!r}, it has {self._names()}. "
                "The folder's name is the last part of the image's repository."
            )
        return folder

    def digest(self, image: str) -> str:
        """What an image's files contain and which of them can be run: other code, other digest.

        Raises:
            ImageError: there is no such image.
        """
        folder = self.folder(image)
        content = hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if "__pycache__" in path.parts:
                continue
            runs = bool(path.stat().st_mode & 0o111)
            written = hashlib.sha256(path.read_bytes()).hexdigest()
            content.update(f"{path.relative_to(folder)}\n{runs}\n{written}\n".encode())
        return content.hexdigest()

    def _names(self) -> str:
        folders = self._folder.iterdir() if self._folder.is_dir() else iter(())
        names = sorted(
            path.name for path in folders if path.is_dir() and not path.name.startswith((".", "_"))
        )
        return ", ".join(names) or "none at all"


def repository_name(image: str) -> str:
    """The last part of the repository: "linear" of "…amazonaws.com/team/linear:latest"."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]
