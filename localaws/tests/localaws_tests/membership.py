"""Whether an operation does what it says of every member of its request: handle it, or refuse it by name."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
from botocore.model import ListShape, Shape, StructureShape

from localaws.sagemaker.api.errors import NotSupportedLocally
from localaws.sagemaker.api.shapes import Document, operation_model


def check_members(
    operation: Callable[[Document], Any],
    name: str,
    handled: Collection[str],
    without_effect: Collection[str] = (),
) -> None:
    """What is handled or without effect are members of botocore's request; any other one is refused."""
    known = {*handled, *without_effect}
    assert len(known) == len(handled) + len(without_effect)
    shape = operation_model(name).input_shape
    assert shape is not None
    paths = set(_members(shape, known))
    assert known <= paths
    for path in paths - known:
        with pytest.raises(NotSupportedLocally, match=f"^The member {path} is not supported locally$"):
            operation(_asking_for(path))


def _members(shape: Shape, known: Collection[str], path: str = "") -> Iterator[str]:
    """The paths of a shape's members; of those of a structure that is known in part."""
    while isinstance(shape, ListShape):
        shape = shape.member
    if path and not any(one.startswith(f"{path}.") for one in known):
        yield path
        return
    assert isinstance(shape, StructureShape)
    for name, member in shape.members.items():
        yield from _members(member, known, f"{path}.{name}" if path else name)


def _asking_for(path: str) -> dict[str, Any]:
    name, _, rest = path.partition(".")
    return {name: _asking_for(rest) if rest else "asked for"}
