"""The images that a step's containers are of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from localaws.sagemaker.api.shapes import Document

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_sagemaker import SageMakerClient

_MEMBERS = ("ImageUri", "TrainingImage", "Image")


def find(arguments: Document, describer: SageMakerClient) -> set[str]:
    """The URIs of all images that stand in a step's arguments, or in the model that they name.

    Raises:
        ClientError: there is no such model.
    """
    found = set(_within(arguments))
    if name := arguments.get("ModelName"):
        found.update(_of_model(name, describer))
    return found


def _of_model(name: str, describer: SageMakerClient) -> Iterator[str]:
    model = describer.describe_model(ModelName=name)
    for container in (model.get("PrimaryContainer", {}), *model.get("Containers", [])):
        yield from _within(container)
        if package := container.get("ModelPackageName"):
            yield from _within(describer.describe_model_package(ModelPackageName=package))


def _within(value: Any) -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if name in _MEMBERS and isinstance(item, str):
            yield item
        else:
            yield from _within(item)
