"""Conditions: evaluated, and rejected if invalid."""

from typing import Any

import pytest

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.pipelines import conditions

Condition = dict[str, Any]


def compare(kind: str, left: Any, right: Any) -> Condition:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


def one_of(value: Any, *values: Any) -> Condition:
    return {"Type": "In", "QueryValue": value, "Values": list(values)}


def negated(condition: Condition) -> Condition:
    return {"Type": "Not", "Condition": condition}


def either(*conditions_: Condition) -> Condition:
    return {"Type": "Or", "Conditions": list(conditions_)}


TRUE = compare("Equals", 1, 1)
FALSE = compare("Equals", 1, 2)


def hold(*conditions_: Condition) -> bool:
    conditions.check(list(conditions_), "Conditions")
    return conditions.hold(list(conditions_), lambda value: value)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (compare("Equals", "a", "a"), True),
        (compare("Equals", 1, 1.0), True),
        (compare("Equals", "1", 1), False),
        (compare("Equals", True, 1), False),
        (compare("GreaterThan", 2, 2), False),
        (compare("GreaterThan", 2.5, 2), True),
        (compare("GreaterThanOrEqualTo", 0.6, 0.6), True),
        (compare("LessThan", 1, 2), True),
        (compare("LessThan", "b", "a"), False),
        (compare("LessThanOrEqualTo", 3, 2), False),
        (one_of("b", "a", "b"), True),
        (one_of(1, "1", True), False),
        (negated(FALSE), True),
        (negated(either(FALSE, TRUE)), False),
        (either(FALSE, FALSE), False),
    ],
)
def test_each_condition_of_the_sdk_is_evaluated(condition: Condition, expected: bool) -> None:
    assert hold(condition) is expected


def test_all_must_be_true_and_evaluation_ends_at_the_first_false() -> None:
    assert hold(TRUE, TRUE)
    assert not hold(TRUE, FALSE)
    assert not hold(FALSE, compare("LessThan", "a", 1))


@pytest.mark.parametrize(("left", "right"), [("0.9", 0.8), (True, 1), (None, 1)])
def test_values_that_cannot_be_compared_are_named(left: Any, right: Any) -> None:
    rendered: Any = [{"Type": "GreaterThan", "LeftValue": left, "RightValue": right}]
    with pytest.raises(
        ValidationException, match=rf"GreaterThan cannot compare {left!r} \(.*\) with {right}"
    ):
        conditions.hold(rendered, lambda value: value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "Conditions must be a list of at least one condition"),
        ({"Type": "Equals"}, "must be a list"),
        ([{"Type": "Like"}], r"Conditions\[0\] must be a condition of a type in \[Equals, .*Or\]"),
        ([{"Type": "Equals", "LeftValue": 1}], r"the members \['LeftValue', 'RightValue'\], not"),
        ([{"Type": "Not", "Expression": {}}], r"\['Condition'\], not \['Expression'\]"),
        ([{"Type": "Not", "Condition": []}], r"Conditions\[0\].Condition must be a condition"),
        ([{"Type": "Or", "Conditions": []}], r"Conditions\[0\].Conditions must be a list"),
        ([{"Type": "In", "QueryValue": 1, "Values": 1}], r"Values must be a list"),
        ([{"Type": "In", "QueryValue": 1, "Values": [[]]}], r"Values\[0\] must be a string"),
        ([{"Type": "Equals", "LeftValue": {"a": 1}, "RightValue": 1}], "LeftValue must be a string"),
    ],
)
def test_an_invalid_condition_is_rejected_with_its_path(wrong: Any, message: str) -> None:
    with pytest.raises(ValidationException, match=message):
        conditions.check(wrong, "Conditions")
