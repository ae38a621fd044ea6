"""Find the images of a step's containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from localaws.sagemaker.api.shapes import Document

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_sagemaker import SageMakerClient

_MEMBERS = ("ImageUri", "TrainingImage", "Image")


def find(arguments: Document, describer: SageMakerClient) -> set[str]:
    """Return the URIs of all images in a step's arguments and in the model that they name.

    Raises:
        ClientError: the model does not exist.
    """
    found = set(_images_in(arguments))
    if name := arguments.get("ModelName"):
        found.update(_images_of_model(name, describer))
    return found


def _images_of_model(name: str, describer: SageMakerClient) -> Iterator[str]:
    model = describer.describe_model(ModelName=name)
    for container in (model.get("PrimaryContainer", {}), *model.get("Containers", [])):
        yield from _images_in(container)
        if package := container.get("ModelPackageName"):
            yield from _images_in(describer.describe_model_package(ModelPackageName=package))


def _images_in(value: Any) -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if name in _MEMBERS and isinstance(item, str):
            yield item
        else:
            yield from _images_in(item)
