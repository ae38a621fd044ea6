"""Requests and answers checked and converted by botocore's own service models."""

import functools
from collections.abc import Iterator
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

from localaws.sagemaker.errors import UnknownOperation, ValidationException

Document = dict[str, Any]


@functools.cache
def service_model(service: str) -> ServiceModel:
    """Botocore's description of a service, such as "sagemaker" or "sagemaker-runtime"."""
    return ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)


def operation_model(operation: str, service: str = "sagemaker") -> OperationModel:
    """The description of one operation.

    Raises:
        UnknownOperation: the service has no operation of that name.
    """
    model = service_model(service)
    if operation not in model.operation_names:
        raise UnknownOperation(f"{service} has no operation {operation!r}")
    return model.operation_model(operation)


def parse_request(operation: str, wire: Document) -> Document:
    """A request checked against every constraint of the model, with timestamps as datetimes.

    Raises:
        ValidationException: with all violations, in SageMaker's words.
    """
    shape = operation_model(operation).input_shape
    if shape is None:
        return {}
    request: Document = check(wire, shape)
    return request


def check(value: Any, shape: Shape) -> Any:
    """The value, converted, if it keeps the shape's constraints.

    Raises:
        ValidationException: with all violations, in SageMaker's words.
    """
    violations = list(_violations(value, shape, ""))
    if violations:
        count = len(violations)
        noun = "validation error" if count == 1 else "validation errors"
        raise ValidationException(f"{count} {noun} detected: {'; '.join(violations)}")
    return _converted(value, shape)


def render_answer(operation: str, answer: Document) -> Document:
    """An answer on the wire: the members that the model knows, timestamps as seconds since the epoch."""
    shape = operation_model(operation).output_shape
    rendered: Document = _rendered(answer, shape) if shape is not None else {}
    return rendered


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


def _scalar_violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    expected = _SCALARS.get(shape.type_name)
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
        if pattern and not _compiled(pattern).fullmatch(value):
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


@functools.cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


def _join(path: str, name: str, lower: bool = True) -> str:
    # SageMaker names members in its messages with a small first letter.
    shown = name[0].lower() + name[1:] if lower else name
    return f"{path}.{shown}" if path else shown


def _converted(value: Any, shape: Shape) -> Any:
    match shape:
        case StructureShape():
            return {
                name: _converted(item, shape.members[name])
                for name, item in value.items()
                if item is not None
            }
        case ListShape():
            return [_converted(item, shape.member) for item in value]
        case MapShape():
            return {key: _converted(item, shape.value) for key, item in value.items()}
        case _ if shape.type_name == "timestamp":
            return _timestamp(value)
        case _:
            return value


def _timestamp(value: float | str | datetime) -> datetime:
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _rendered(value: Any, shape: Shape) -> Any:
    match shape:
        case StructureShape():
            return {
                name: _rendered(value[name], member)
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case ListShape():
            return [_rendered(item, shape.member) for item in value]
        case MapShape():
            return {key: _rendered(item, shape.value) for key, item in value.items()}
        case _ if shape.type_name == "timestamp":
            return value.timestamp() if isinstance(value, datetime) else value
        case _:
            return value
