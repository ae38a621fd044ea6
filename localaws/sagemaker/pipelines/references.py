"""References in a pipeline definition: found, and replaced by what they stand for.

Source: "SageMaker Pipeline Definition JSON Schema", version 2020-12-01: {"Get": …} and {"Std:Join": …}.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from localaws.sagemaker.errors import NotSupportedLocally, ValidationException

_SEGMENT = re.compile(r"\.?([A-Za-z]\w*)|\['([^']+)'\]|\[(\d+)\]")
# Lists that a definition indexes by the name of an item, not by its place.
_ITEM_NAMES = ("OutputName", "InputName", "ChannelName", "Name")


def find(value: Any) -> Iterator[str]:
    """Every path that a Get names, such as "Parameters.OutputUri" or "Steps.TrainModel.ModelArtifacts"."""
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
    """Whether a value stands for another one."""
    return isinstance(value, dict) and any(key == "Get" or key.startswith("Std:") for key in value)


def resolve(value: Any, scope: Mapping[str, Any]) -> Any:
    """The value with every reference replaced.

    Args:
        value: arguments of a step, or a part of them.
        scope: what "Parameters", "Execution" and "Steps" stand for.

    Raises:
        ValidationException: a reference names what is not there.
        NotSupportedLocally: a function other than Std:Join.
    """
    match value:
        case {"Get": str(path)}:
            return _look_up(path, scope)
        case {"Std:Join": {"On": str(separator), "Values": list(values)}}:
            return separator.join(str(resolve(item, scope)) for item in values)
        case dict():
            for key in value:
                if key.startswith("Std:"):
                    raise NotSupportedLocally(f"The pipeline function {key}")
            return {key: resolve(item, scope) for key, item in value.items()}
        case list():
            return [resolve(item, scope) for item in value]
        case _:
            return value


def segments(path: str) -> list[str | int]:
    """A property path in parts: "Outputs['train'].S3Output" is ["Outputs", "train", "S3Output"].

    Raises:
        ValidationException: it is not a property path.
    """
    parts: list[str | int] = []
    position = 0
    while position < len(path):
        found = _SEGMENT.match(path, position)
        if found is None:
            raise ValidationException(
                f"The reference {path!r} is not a property path (at {path[position:]!r})"
            )
        parts.append(int(found[3]) if found[3] else found[1] or found[2])
        position = found.end()
    return parts


def _look_up(path: str, scope: Mapping[str, Any]) -> Any:
    value: Any = scope
    for part in segments(path):
        try:
            value = _item(value, part)
        except (KeyError, IndexError, TypeError):
            raise ValidationException(f"The reference {path!r} has no value: there is no {part!r}") from None
    return value


def _item(value: Any, part: str | int) -> Any:
    if isinstance(value, list) and isinstance(part, str):
        named = {item[name]: item for item in value for name in _ITEM_NAMES if name in item}
        return named[part]
    return value[part]
