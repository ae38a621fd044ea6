"""The images that the stack requests, and which of them the registry has."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_pascal

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


class UnknownImageError(Exception):
    """No folder of containers/ makes such an image."""


class ImageRequest(BaseModel):
    """An image that the stack requests: its name, its folder and its repository."""

    model_config = ConfigDict(alias_generator=to_pascal)
    name: str
    folder: str
    repository_uri: str


class Image(NamedTuple):
    """An image by its content; `context` is the part of containers/ that its build gets, its folder first."""

    name: str
    repository_uri: str
    tag: str
    context: tuple[str, ...]

    def find(self, ecr: ECRClient) -> str | None:
        """Return the image's URI by digest, or None if the registry does not have it."""
        found = ecr.batch_get_image(
            repositoryName=self.repository_uri.partition("/")[2], imageIds=[{"imageTag": self.tag}]
        )["images"]
        return f"{self.repository_uri}@{found[0]['imageId']['imageDigest']}" if found else None

    def __str__(self) -> str:
        """Return the image's word in the build's variable IMAGES."""
        return f"{self.repository_uri}:{self.tag}={','.join(self.context)}"


def identify(requested: ImageRequest, containers: Path) -> Image:
    """Return the image that is requested, identified by the content that it is built from.

    Raises:
        UnknownImageError: the folder, its Dockerfile or another folder that it requires is missing.
    """
    # The same file that `make images` uses, so that both hashes agree. The layer has it, not this package.
    sources = run_path(str(containers / "tooling" / "image_sources.py"))
    try:
        content = sources["content_hash"](containers, requested.folder)
        files = sources["files"](containers, requested.folder)
    except FileNotFoundError as error:
        raise UnknownImageError(
            f"containers/{requested.folder} makes no image: {error}. "
            "Add what is missing, or name another folder in ModelContainer, and deploy again"
        ) from error
    others = {file.relative_to(containers).parts[0] for file in files} - {requested.folder}
    return Image(
        requested.name,
        requested.repository_uri,
        f"{requested.folder}-{content}",
        (requested.folder, *sorted(others)),
    )
