"""Conditions of condition steps: checked, and decided.

Source: what the SDK's sagemaker.workflow.conditions renders.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines import references

Resolve = Callable[[Any], Any]
"""The value that a literal or a reference stands for."""

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
    """Make sure that a list of conditions is one.

    Raises:
        ValidationException: naming what is wrong, and where.
    """
    if not isinstance(conditions, list) or not conditions:
        raise ValidationException(f"{path} has to be a list of one condition or more, not {conditions!r}")
    for index, condition in enumerate(conditions):
        _check(condition, f"{path}[{index}]")


def hold(conditions: list[Document], resolve: Resolve) -> bool:
    """Whether all conditions are true; what follows a false one is not asked.

    Raises:
        ValidationException: values cannot be compared, or a reference has none.
    """
    return all(_holds(condition, resolve) for condition in conditions)


def _check(condition: Any, path: str) -> None:
    if not isinstance(condition, dict) or condition.get("Type") not in CONDITION_MEMBERS:
        known = ", ".join(CONDITION_MEMBERS)
        raise ValidationException(f"{path} is no condition of a type in [{known}]: {condition!r}")
    members = CONDITION_MEMBERS[condition["Type"]]
    if set(condition) != {"Type", *members}:
        raise ValidationException(
            f"{path} of type {condition['Type']} has to have the members {[*members]}, not "
            f"{sorted(set(condition) - {'Type'})}"
        )
    match condition:
        case {"Type": "Not", "Condition": inner}:
            _check(inner, f"{path}.Condition")
        case {"Type": "Or", "Conditions": inner}:
            check(inner, f"{path}.Conditions")
        case {"Type": "In", "QueryValue": value, "Values": values}:
            if not isinstance(values, list) or not values:
                raise ValidationException(f"{path}.Values has to be a list of one value or more")
            _check_values(path, QueryValue=value, **{f"Values[{i}]": item for i, item in enumerate(values)})
        case _:
            _check_values(path, **{member: condition[member] for member in members})


def _check_values(path: str, **values: Any) -> None:
    for member, value in values.items():
        if not isinstance(value, str | int | float) and not references.is_reference(value):
            raise ValidationException(
                f"{path}.{member} has to be a text, a number, true, false or a reference, not {value!r}"
            )


def _holds(condition: Document, resolve: Resolve) -> bool:
    match condition:
        case {"Type": "Not", "Condition": inner}:
            return not _holds(inner, resolve)
        case {"Type": "Or", "Conditions": inner}:
            return any(_holds(one, resolve) for one in inner)
        case {"Type": "In", "QueryValue": value, "Values": values}:
            wanted = resolve(value)
            return any(_equal(wanted, resolve(item)) for item in values)
        case {"Type": "Equals", "LeftValue": left, "RightValue": right}:
            return _equal(resolve(left), resolve(right))
        case {"Type": kind, "LeftValue": left, "RightValue": right}:
            return _compare(kind, resolve(left), resolve(right))
    raise ValidationException(f"{condition!r} is no condition")


def _equal(left: Any, right: Any) -> bool:
    # To Python true is 1.
    return _kind(left) == _kind(right) and bool(left == right)


def _compare(kind: str, left: Any, right: Any) -> bool:
    if _kind(left) != _kind(right) or _kind(left) not in ("a number", "a text"):
        raise ValidationException(
            f"{kind} cannot compare {left!r} ({_kind(left)}) with {right!r} ({_kind(right)})"
        )
    return _COMPARISONS[kind](left, right)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
    return f"a {type(value).__name__}"
