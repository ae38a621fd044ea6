"""Validate and convert requests and responses with botocore's service models."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import botocore.loaders
import regex
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)

from localaws.sagemaker.api.errors import UnknownOperation, ValidationException

Document = dict[str, Any]

NAME_CHARACTERS = 256  # shapes with a greater maximum length are data, not names
CACHED_NAMES = 4096  # valid names cached per pattern


@dataclass(frozen=True)
class Unknown:
    """A value that is not known yet; it satisfies the constraints of every shape of its type.

    Attributes:
        shown: the value's name in messages.
        type_name: botocore's name of its type, such as "string"; "" if the type is unknown too.
    """

    shown: str
    type_name: str = ""

    def __str__(self) -> str:
        return self.shown


@functools.cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service, such as "sagemaker" or "sagemaker-runtime"."""
    return ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)


def operation_model(operation: str, service: str = "sagemaker") -> OperationModel:
    """Return botocore's model of an operation.

    Raises:
        UnknownOperation: the service has no such operation.
    """
    model = service_model(service)
    if operation not in model.operation_names:
        raise UnknownOperation(f"{service} has no operation {operation!r}")
    return model.operation_model(operation)


def parse_request(operation: str, wire: Document, service: str = "sagemaker") -> Document:
    """Validate a request against all constraints of the model and convert timestamps to datetimes.

    Raises:
        ValidationException: the request is invalid; the message lists all violations in SageMaker's words.
    """
    shape = operation_model(operation, service).input_shape
    if shape is None:
        return {}
    request: Document = check(wire, shape)
    return request


def check(value: Any, shape: Shape) -> Any:
    """Validate a value against a shape and convert timestamps to datetimes.

    Raises:
        ValidationException: the value is invalid; the message lists all violations, worded like SageMaker's.
    """
    fits = _validator(shape)(value)
    if fits and not _has_timestamps(shape):
        return value
    found = [] if fits else violations(value, shape)
    if found:
        count = len(found)
        noun = "validation error" if count == 1 else "validation errors"
        raise ValidationException(f"{count} {noun} detected: {'; '.join(found)}")
    return _convert(value, shape)


def violations(value: Any, shape: Shape) -> list[str]:
    """Return a value's violations of a shape, worded like SageMaker's; parts of the value can be Unknown."""
    return list(_violations(value, shape, ""))


def render_response(operation: str, result: Document, service: str = "sagemaker") -> Document:
    """Return a response for JSON: only the model's members, timestamps in seconds since the epoch."""
    shape = operation_model(operation, service).output_shape
    rendered: Document = _render(result, shape) if shape is not None else {}
    return rendered


@functools.cache
def _validator(shape: Shape) -> Callable[[Any], bool]:
    """Return a function that checks whether a value has neither violations nor null members.

    It is a fast path for batches of records with thousands of values, which rarely have violations; the
    messages are only generated if it returns False.
    """
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", float("inf"))
    if isinstance(shape, StructureShape):
        members, required = shape.members, frozenset(shape.required_members)

        def structure_fits(value: Any) -> bool:
            return (
                isinstance(value, dict)
                and required <= value.keys()
                and all(name in members and _validator(members[name])(item) for name, item in value.items())
            )

        return structure_fits
    if isinstance(shape, ListShape):

        def list_fits(value: Any) -> bool:
            return (
                isinstance(value, list)
                and low <= len(value) <= high
                and all(map(_validator(shape.member), value))
            )

        return list_fits
    if isinstance(shape, MapShape):

        def map_fits(value: Any) -> bool:
            return (
                isinstance(value, dict)
                and low <= len(value) <= high
                and all(map(_validator(shape.key), value))
                and all(map(_validator(shape.value), value.values()))
            )

        return map_fits
    if isinstance(shape, StringShape) and not shape.enum and "pattern" in shape.metadata:
        matches = _compile(shape.metadata["pattern"]).fullmatch
        if high <= NAME_CHARACTERS:
            matches = functools.lru_cache(CACHED_NAMES)(matches)  # every record repeats the same names

        def string_fits(value: Any) -> bool:
            return isinstance(value, str) and low <= len(value) <= high and matches(value) is not None

        return string_fits
    return lambda value: next(_violations(value, shape, ""), None) is None


def _violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    match shape:
        case StructureShape():
            yield from _structure_violations(value, shape, path)
        case ListShape():
            if not isinstance(value, list):
                yield f"Value at '{path}' must be a list"
                return
            yield from _length_violations(value, shape, path)
            for index, item in enumerate(value, start=1):
                yield from _violations(item, shape.member, f"{path}.{index}.member")
        case MapShape():
            if not isinstance(value, dict):
                yield f"Value at '{path}' must be a map"
                return
            yield from _length_violations(value, shape, path)
            for key, item in value.items():
                yield from _violations(key, shape.key, f"{path}.key")
                yield from _violations(item, shape.value, f"{path}.{key}.member")
        case _:
            yield from _scalar_violations(value, shape, path)


def _structure_violations(value: Any, shape: StructureShape, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"Value at '{path}' must be a structure"
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield (
                f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
            )
    for name, item in value.items():
        if name not in shape.members:
            known = ", ".join(sorted(shape.members))
            yield f"Unknown member '{_join(path, name, lower=False)}': it must be one of [{known}]"
        elif item is not None:
            yield from _violations(item, shape.members[name], _join(path, name))


_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str, datetime),
}


_KINDS_OF_NUMBER = {"integer": "integer", "long": "integer", "float": "float", "double": "float"}


def _is_compatible(actual: str, expected: str) -> bool:
    """Return whether a value of one type is valid for another; an integer is valid for a float."""
    actual, expected = (_KINDS_OF_NUMBER.get(name, name) for name in (actual, expected))
    return actual in ("", expected) or (actual, expected) == ("integer", "float")


def _scalar_violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    expected = _SCALARS.get(shape.type_name)
    if isinstance(value, Unknown):
        if not _is_compatible(value.type_name, shape.type_name):
            yield f"Value '{value}' of type {value.type_name} at '{path}' must be a {shape.type_name}"
        return
    if expected and (not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected)):
        yield f"Value '{value}' at '{path}' must be a {shape.type_name}"
        return
    failed = f"Value '{value}' at '{path}' failed to satisfy constraint: "
    if shape.type_name == "timestamp":
        yield from _timestamp_violations(value, path)
    elif isinstance(shape, StringShape):
        yield from _length_violations(value, shape, path)
        if shape.enum and value not in shape.enum:
            yield f"{failed}Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        pattern = shape.metadata.get("pattern")
        if pattern and not _compile(pattern).fullmatch(value):
            yield f"{failed}Member must satisfy regular expression pattern: {pattern}"
    elif shape.type_name in ("integer", "long", "float", "double"):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            yield f"{failed}Member must have value greater than or equal to {low}"
        if high is not None and value > high:
            yield f"{failed}Member must have value less than or equal to {high}"


def _timestamp_violations(value: float | str | datetime, path: str) -> Iterator[str]:
    try:
        _timestamp(value)
    except (ValueError, OverflowError, OSError):
        yield f"Value '{value}' at '{path}' must be a timestamp: seconds since the epoch, or ISO 8601"


def _length_violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    failed = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have length "
    if low is not None and len(value) < low:
        yield f"{failed}greater than or equal to {low}"
    if high is not None and len(value) > high:
        yield f"{failed}less than or equal to {high}"


# AWS's patterns have the characters above U+FFFF as UTF-16 surrogate pairs, which Python does not support.
_SURROGATES = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")


@functools.cache
def _compile(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern.replace(*_SURROGATES))


def _join(path: str, name: str, lower: bool = True) -> str:
    # SageMaker's messages have members' names with a lowercase first letter.
    shown = name[0].lower() + name[1:] if lower else name
    return f"{path}.{shown}" if path else shown


def _convert(value: Any, shape: Shape) -> Any:
    match shape:
        case StructureShape():
            return {
                name: _convert(item, shape.members[name]) for name, item in value.items() if item is not None
            }
        case ListShape():
            return [_convert(item, shape.member) for item in value]
        case MapShape():
            return {key: _convert(item, shape.value) for key, item in value.items()}
        case _ if shape.type_name == "timestamp":
            return _timestamp(value)
        case _:
            return value


@functools.cache
def _has_timestamps(shape: Shape) -> bool:
    """Return whether a shape contains timestamps, which have to be converted."""
    seen: set[str] = set()
    remaining = [shape]
    while remaining:
        current = remaining.pop()
        if current.type_name == "timestamp":
            return True
        if current.name not in seen:
            seen.add(current.name)
            remaining += _inner_shapes(current)
    return False


def _inner_shapes(shape: Shape) -> list[Shape]:
    match shape:
        case StructureShape():
            return list(shape.members.values())
        case ListShape():
            return [shape.member]
        case MapShape():
            return [shape.key, shape.value]
        case _:
            return []


def _timestamp(value: float | str | datetime) -> datetime:
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _render(value: Any, shape: Shape) -> Any:
    match shape:
        case StructureShape():
            return {
                name: _render(value[name], member)
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case ListShape():
            return [_render(item, shape.member) for item in value]
        case MapShape():
            return {key: _render(item, shape.value) for key, item in value.items()}
        case _ if shape.type_name == "timestamp":
            return value.timestamp() if isinstance(value, datetime) else value
        case _:
            return value
