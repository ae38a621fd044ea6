"""A pipeline's parameters: their declarations, and their values for one execution."""

from collections.abc import Callable, Mapping
from typing import Any

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import Document


def _boolean(supplied: str) -> bool:
    if supplied.lower() not in ("true", "false"):
        raise ValueError(supplied)
    return supplied.lower() == "true"


# Values arrive as strings; defaults are JSON values. Booleans are not numbers here, unlike in Python.
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "String": str,
    "Integer": int,
    "Float": float,
    "Boolean": _boolean,
}
_OF_TYPE: dict[str, Callable[[Any], bool]] = {
    "String": lambda value: isinstance(value, str),
    "Integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "Boolean": lambda value: isinstance(value, bool),
}
PARAMETER_TYPES = tuple(_FROM_TEXT)


def check(spec: Document) -> None:
    """Validate a parameter's declaration.

    Raises:
        ValidationException: DefaultValue or a value of EnumValues has the wrong type, or the default is not
            one of EnumValues.
    """
    name, values = spec["Name"], spec.get("EnumValues", [])
    for value in (*values, *([spec["DefaultValue"]] if "DefaultValue" in spec else [])):
        if not _OF_TYPE[spec["Type"]](value):
            raise ValidationException(f"Parameter {name!r} is of type {spec['Type']}, but {value!r} is not")
    if "DefaultValue" in spec:
        _check_enumeration(spec, spec["DefaultValue"])


def values(declared: Mapping[str, Document], supplied: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of every parameter for one execution.

    Raises:
        ValidationException: a value is missing, unknown or of the wrong type.
    """
    unknown = sorted(set(supplied) - set(declared))
    if unknown:
        raise ValidationException(f"Unknown parameters {unknown}: the pipeline has [{', '.join(declared)}]")
    return {name: _value(spec, supplied.get(name)) for name, spec in declared.items()}


def _value(spec: Document, supplied: str | None) -> Any:
    name = spec["Name"]
    if supplied is None:
        if "DefaultValue" not in spec:
            raise ValidationException(
                f"Parameter {name!r} has no value and no default: pass a value at start"
            )
        return spec["DefaultValue"]
    try:
        value = _FROM_TEXT[spec["Type"]](supplied)
    except ValueError as error:
        raise ValidationException(f"Parameter {name!r} is not {spec['Type']}: {supplied!r}") from error
    _check_enumeration(spec, value)
    return value


def _check_enumeration(spec: Document, value: Any) -> None:
    if value not in spec.get("EnumValues", [value]):
        allowed = spec["EnumValues"]
        raise ValidationException(f"Parameter {spec['Name']!r} must be one of {allowed}, not {value!r}")
