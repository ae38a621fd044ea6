"""Whether an operation knows every member of its request."""

from collections.abc import Collection, Mapping

import pytest

from localaws.sagemaker.errors import NotSupportedLocally
from localaws.sagemaker.http import Operation
from localaws.sagemaker.shapes import operation_model


def check_members(
    operation: Operation,
    name: str,
    handled: Mapping[str, Collection[str]],
    without_effect: Mapping[str, Collection[str]],
    refused: Mapping[str, Collection[str]],
) -> None:
    """Each member of botocore's request is in one of the three, and those to refuse are refused."""
    shape = operation_model(name).input_shape
    assert shape is not None
    sorts = (handled[name], without_effect.get(name, ()), refused.get(name, ()))
    assert sorted(member for members in sorts for member in members) == sorted(shape.members)
    for member in refused.get(name, ()):
        with pytest.raises(NotSupportedLocally, match=f"The member {member} is not supported locally"):
            operation({member: "asked for"})
