"""Image URIs, and the folders that stand for them."""

from pathlib import Path

from localaws.runtimes.container import ImageError
from localaws.runtimes.folders import digest


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
        """What an image's files and its local requirements contain: other code, other digest.

        Raises:
            ImageError: there is no such image, or a project that it requires is not there.
        """
        return digest(self.folder(image))

    def _names(self) -> str:
        folders = self._folder.iterdir() if self._folder.is_dir() else iter(())
        names = sorted(
            path.name for path in folders if path.is_dir() and not path.name.startswith((".", "_"))
        )
        return ", ".join(names) or "none at all"


def repository_name(image: str) -> str:
    """The last part of the repository: "linear" of "…amazonaws.com/team/linear:latest"."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]
