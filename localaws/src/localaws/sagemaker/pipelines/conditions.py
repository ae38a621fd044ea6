"""Validate and evaluate the conditions of condition steps.

Source: the output of the SDK's sagemaker.workflow.conditions.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines import references

Resolve = Callable[[Any], Any]
"""Returns the value of a literal or a reference."""

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
# The members of each type of condition, besides Type.
CONDITION_MEMBERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_COMPARISONS, ("LeftValue", "RightValue")),
    "In": ("QueryValue", "Values"),
    "Not": ("Condition",),
    "Or": ("Conditions",),
}


def check(conditions: Any, path: str) -> None:
    """Validate a list of conditions.

    Raises:
        ValidationException: a condition is invalid; the message has its path.
    """
    if not isinstance(conditions, list) or not conditions:
        raise ValidationException(f"{path} must be a list of at least one condition, not {conditions!r}")
    for index, condition in enumerate(conditions):
        _check(condition, f"{path}[{index}]")


def hold(conditions: list[Document], resolve: Resolve) -> bool:
    """Return whether all conditions are true; conditions after a false one are not evaluated.

    Raises:
        ValidationException: values cannot be compared, or a reference has no value.
    """
    return all(_holds(condition, resolve) for condition in conditions)


def _check(condition: Any, path: str) -> None:
    if not isinstance(condition, dict) or condition.get("Type") not in CONDITION_MEMBERS:
        known = ", ".join(CONDITION_MEMBERS)
        raise ValidationException(f"{path} must be a condition of a type in [{known}], not {condition!r}")
    members = CONDITION_MEMBERS[condition["Type"]]
    if set(condition) != {"Type", *members}:
        raise ValidationException(
            f"{path} of type {condition['Type']} must have the members {[*members]}, not "
            f"{sorted(set(condition) - {'Type'})}"
        )
    match condition:
        case {"Type": "Not", "Condition": inner}:
            _check(inner, f"{path}.Condition")
        case {"Type": "Or", "Conditions": inner}:
            check(inner, f"{path}.Conditions")
        case {"Type": "In", "QueryValue": value, "Values": values}:
            if not isinstance(values, list) or not values:
                raise ValidationException(f"{path}.Values must be a list of at least one value")
            _check_values(path, QueryValue=value, **{f"Values[{i}]": item for i, item in enumerate(values)})
        case _:
            _check_values(path, **{member: condition[member] for member in members})


def _check_values(path: str, **values: Any) -> None:
    for member, value in values.items():
        if not isinstance(value, str | int | float) and not references.is_reference(value):
            raise ValidationException(
                f"{path}.{member} must be a string, number, boolean or reference, not {value!r}"
            )


def _holds(condition: Document, resolve: Resolve) -> bool:
    match condition:
        case {"Type": "Not", "Condition": inner}:
            return not _holds(inner, resolve)
        case {"Type": "Or", "Conditions": inner}:
            return any(_holds(one, resolve) for one in inner)
        case {"Type": "In", "QueryValue": value, "Values": values}:
            query = resolve(value)
            return any(_equal(query, resolve(item)) for item in values)
        case {"Type": "Equals", "LeftValue": left, "RightValue": right}:
            return _equal(resolve(left), resolve(right))
        case {"Type": kind, "LeftValue": left, "RightValue": right}:
            return _compare(kind, resolve(left), resolve(right))
    raise ValidationException(f"{condition!r} is not a condition")


def _equal(left: Any, right: Any) -> bool:
    # In Python, True == 1.
    return _kind(left) == _kind(right) and bool(left == right)


def _compare(kind: str, left: Any, right: Any) -> bool:
    if _kind(left) != _kind(right) or _kind(left) not in ("number", "string"):
        raise ValidationException(
            f"{kind} cannot compare {left!r} ({_kind(left)}) with {right!r} ({_kind(right)})"
        )
    return _COMPARISONS[kind](left, right)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
    return type(value).__name__
