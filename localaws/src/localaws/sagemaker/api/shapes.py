"""Requests and answers checked and converted by botocore's own service models."""

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

NAME_CHARACTERS = 256  # a string that may be longer is data, not a name
NAMES = 4096  # of each kind, remembered as well formed


@dataclass(frozen=True)
class Unknown:
    """A scalar that will be known later: it satisfies the constraints of every shape of its type.

    Attributes:
        shown: how messages name it.
        type_name: botocore's word for its type, such as "string"; "" where that is not known either.
    """

    shown: str
    type_name: str = ""

    def __str__(self) -> str:
        return self.shown


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


def parse_request(operation: str, wire: Document, service: str = "sagemaker") -> Document:
    """A request checked against every constraint of the model, with timestamps as datetimes.

    Raises:
        ValidationException: with all violations, in SageMaker's words.
    """
    shape = operation_model(operation, service).input_shape
    if shape is None:
        return {}
    request: Document = check(wire, shape)
    return request


def check(value: Any, shape: Shape) -> Any:
    """The value, converted, if it keeps the shape's constraints.

    Raises:
        ValidationException: with all violations, in SageMaker's words.
    """
    fits = _fits(shape)(value)
    if fits and not _has_timestamps(shape):
        return value
    found = [] if fits else violations(value, shape)
    if found:
        count = len(found)
        noun = "validation error" if count == 1 else "validation errors"
        raise ValidationException(f"{count} {noun} detected: {'; '.join(found)}")
    return _converted(value, shape)


def violations(value: Any, shape: Shape) -> list[str]:
    """What is wrong with a value, in SageMaker's words; parts of it may be Unknown."""
    return list(_violations(value, shape, ""))


def render_answer(operation: str, answer: Document, service: str = "sagemaker") -> Document:
    """An answer on the wire: the members that the model knows, timestamps as seconds since the epoch."""
    shape = operation_model(operation, service).output_shape
    rendered: Document = _rendered(answer, shape) if shape is not None else {}
    return rendered


@functools.cache
def _fits(shape: Shape) -> Callable[[Any], bool]:
    """Says of a value whether it breaks nothing and has nothing to leave out.

    A batch of records has a thousand values and mostly no fault: the words for one are only made if there is.
    """
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", float("inf"))
    if isinstance(shape, StructureShape):
        members, required = shape.members, frozenset(shape.required_members)

        def structure_fits(value: Any) -> bool:
            return (
                isinstance(value, dict)
                and required <= value.keys()
                and all(name in members and _fits(members[name])(item) for name, item in value.items())
            )

        return structure_fits
    if isinstance(shape, ListShape):

        def list_fits(value: Any) -> bool:
            return (
                isinstance(value, list) and low <= len(value) <= high and all(map(_fits(shape.member), value))
            )

        return list_fits
    if isinstance(shape, MapShape):

        def map_fits(value: Any) -> bool:
            return (
                isinstance(value, dict)
                and low <= len(value) <= high
                and all(map(_fits(shape.key), value))
                and all(map(_fits(shape.value), value.values()))
            )

        return map_fits
    if isinstance(shape, StringShape) and not shape.enum and "pattern" in shape.metadata:
        matches = _compiled(shape.metadata["pattern"]).fullmatch
        if high <= NAME_CHARACTERS:
            matches = functools.lru_cache(NAMES)(matches)  # the same names come in every record

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


_KINDS_OF_NUMBER = {"integer": "whole", "long": "whole", "float": "any", "double": "any"}


def _same_type(actual: str, wanted: str) -> bool:
    """Whether a value of one type may stand where another is wanted: a whole number is any number, too."""
    actual, wanted = (_KINDS_OF_NUMBER.get(name, name) for name in (actual, wanted))
    return actual in ("", wanted) or (actual, wanted) == ("whole", "any")


def _scalar_violations(value: Any, shape: Shape, path: str) -> Iterator[str]:
    expected = _SCALARS.get(shape.type_name)
    if isinstance(value, Unknown):
        if not _same_type(value.type_name, shape.type_name):
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


# The characters beyond U+FFFF, as pairs of UTF-16, of which a Python pattern knows nothing.
_SURROGATES = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")


@functools.cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern.replace(*_SURROGATES))


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


@functools.cache
def _has_timestamps(shape: Shape) -> bool:
    """Whether a value of the shape may hold what has to be converted."""
    seen: set[str] = set()
    left = [shape]
    while left:
        found = left.pop()
        if found.type_name == "timestamp":
            return True
        if found.name not in seen:
            seen.add(found.name)
            left += _inner_shapes(found)
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
