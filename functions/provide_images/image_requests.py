"""The images that the stack asks for, and which of them the registry has."""

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
    """An image that the stack asks for: what to call it, its folder, the repository it belongs in."""

    model_config = ConfigDict(alias_generator=to_pascal)
    name: str
    folder: str
    repository_uri: str


class Image(NamedTuple):
    """An image of this very content; `context` is what its build gets of containers/, its folder first."""

    name: str
    repository_uri: str
    tag: str
    context: tuple[str, ...]

    def find(self, ecr: ECRClient) -> str | None:
        """The image's URI by digest, or None while the registry lacks it."""
        found = ecr.batch_get_image(
            repositoryName=self.repository_uri.partition("/")[2], imageIds=[{"imageTag": self.tag}]
        )["images"]
        return f"{self.repository_uri}@{found[0]['imageId']['imageDigest']}" if found else None

    def __str__(self) -> str:
        """A word of the build's variable IMAGES."""
        return f"{self.repository_uri}:{self.tag}={','.join(self.context)}"


def identify(requested: ImageRequest, containers: Path) -> Image:
    """The image that a request means, by the content of all that it is made of.

    Raises:
        UnknownImageError: the folder, its Dockerfile or another folder that it requires is missing.
    """
    # Not a copy of it, which could come to another hash than `make images`; by path, as it is no module here.
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
