"""Finds and resolves references in a pipeline definition.

Source: "SageMaker Pipeline Definition JSON Schema", version 2020-12-01, and the output of the SDK's workflow
module: {"Get": …}, {"Std:Join": …} and {"Std:JsonGet": …}.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException

# Names of steps and parameters can contain hyphens and start with a digit.
_SEGMENT = re.compile(r"\.?([A-Za-z0-9_-]+)|\['([^']+)'\]|\[\"([^\"]+)\"\]|\[(\d+)\]")
# Members that identify an item of a list by name instead of by index.
ITEM_NAMES = ("OutputName", "InputName", "ChannelName", "Name")

JsonGet = Callable[[Mapping[str, Any]], Any]
"""Returns the value of a Std:JsonGet for its members: PropertyFile or S3Uri, and Path."""


def find(value: Any) -> Iterator[str]:
    """Yield the path of every Get, such as "Parameters.OutputUri" or "Steps.TrainModel.ModelArtifacts"."""
    match value:
        case {"Get": str(path)}:
            yield path
        case dict():
            for item in value.values():
                yield from find(item)
        case list():
            for item in value:
                yield from find(item)


def is_reference(value: Any) -> bool:
    """Whether a value is a reference."""
    return isinstance(value, dict) and any(key == "Get" or key.startswith("Std:") for key in value)


def resolve(value: Any, scope: Mapping[str, Any], json_get: JsonGet) -> Any:
    """Return the value with every reference replaced and null members removed.

    Args:
        value: arguments of a step, or a part of them.
        scope: the values of "Parameters", "Execution" and "Steps".
        json_get: returns the value of a Std:JsonGet.

    Raises:
        ValidationException: a reference names a value that does not exist.
        NotSupportedLocally: the value has a function that only AWS supports.
    """
    match value:
        case {"Get": str(path)}:
            return look_up(path, scope)
        case {"Std:Join": {"Values": list(values), **rest}}:
            return str(rest.get("On", "")).join(text(resolve(item, scope, json_get)) for item in values)
        case {"Std:JsonGet": dict(function)}:
            return json_get(function)
        case dict():
            for key in value:
                if key.startswith("Std:"):
                    raise NotSupportedLocally(f"The pipeline function {key}")
            return {key: resolve(item, scope, json_get) for key, item in value.items() if item is not None}
        case list():
            return [resolve(item, scope, json_get) for item in value]
        case _:
            return value


def text(value: Any) -> str:
    """Return a value as a string like Std:Join does; booleans are lowercase, as in JSON."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def segments(path: str) -> list[str | int]:
    """Split a property path: "Outputs['train'].S3Output" gives ["Outputs", "train", "S3Output"].

    Raises:
        ValidationException: the text is not a property path.
    """
    parts: list[str | int] = []
    position = 0
    while position < len(path):
        found = _SEGMENT.match(path, position)
        if found is None:
            raise ValidationException(
                f"The reference {path!r} is not a property path (at {path[position:]!r})"
            )
        parts.append(int(found[4]) if found[4] else found[1] or found[2] or found[3])
        position = found.end()
    return parts


def look_up(path: str, scope: Any) -> Any:
    """Return the value at a path, such as "Steps.Train.ModelArtifacts" or "metrics['f1'].values[0]".

    Raises:
        ValidationException: the path has no value.
    """
    value = scope
    for part in segments(path):
        try:
            value = _item(value, part)
        except (KeyError, IndexError, TypeError):
            raise ValidationException(
                f"The reference {path!r} has no value: {part!r} does not exist"
            ) from None
    return value


def _item(value: Any, part: str | int) -> Any:
    if isinstance(value, list) and isinstance(part, str):
        named = {item[name]: item for item in value for name in ITEM_NAMES if name in item}
        return named[part]
    if isinstance(value, str):
        raise TypeError(f"{part!r} of a string")
    return value[part]
