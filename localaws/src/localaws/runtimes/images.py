"""Map image URIs to the folders of the images."""

from pathlib import Path

from localaws.runtimes.container import ImageError
from localaws.runtimes.folders import digest


class Images:
    """The images in a folder: one subfolder per image, named after the last part of its repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def folder(self, image: str) -> Path:
        """Return the folder of an image URI; registry, tag and digest are ignored.

        Raises:
            ImageError: no folder has the repository's name.
        """
        name = repository_name(image)
        folder = self._folder / name
        if name in ("", ".", "..") or not folder.is_dir():
            raise ImageError(
                f"Image {image} not found: {self._folder} has no folder {name!r}. It has: {self._names()}. "
                "The folder's name must be the last part of the image's repository."
            )
        return folder

    def digest(self, image: str) -> str:
        """Return a digest of an image's files and of the local projects in its requirements.

        Raises:
            ImageError: the image or a local project in its requirements does not exist.
        """
        return digest(self.folder(image))

    def _names(self) -> str:
        folders = self._folder.iterdir() if self._folder.is_dir() else iter(())
        names = sorted(
            path.name for path in folders if path.is_dir() and not path.name.startswith((".", "_"))
        )
        return ", ".join(names) or "no folders"


def repository_name(image: str) -> str:
    """Return the last part of the repository: "linear" for "…amazonaws.com/team/linear:latest"."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]
