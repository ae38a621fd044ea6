"""Parameters: declared in agreement with themselves, and given as text."""

from typing import Any

import pytest

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.pipelines import parameters

DECLARED: dict[str, dict[str, Any]] = {
    "P": {"Name": "P", "Type": "String"},
    "N": {"Name": "N", "Type": "Integer", "DefaultValue": 2},
    "F": {"Name": "F", "Type": "Float", "DefaultValue": 1},
    "B": {"Name": "B", "Type": "Boolean", "DefaultValue": False},
    "E": {"Name": "E", "Type": "String", "DefaultValue": "x", "EnumValues": ["x", "y"]},
}


def test_values_have_their_type_and_default() -> None:
    given = {"P": "p", "N": "3", "F": "0.5", "B": "True", "E": "y"}
    assert parameters.values(DECLARED, given) == {"P": "p", "N": 3, "F": 0.5, "B": True, "E": "y"}
    assert parameters.values(DECLARED, {"P": ""}) == {"P": "", "N": 2, "F": 1, "B": False, "E": "x"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Parameter 'P' has no value and no default"),
        ({"P": "p", "Q": "y"}, r"Unknown parameters \['Q'\]"),
        ({"P": "p", "N": "two"}, "Parameter 'N' is not Integer: 'two'"),
        ({"P": "p", "B": "yes"}, "Parameter 'B' is not Boolean: 'yes'"),
        ({"P": "p", "E": "z"}, r"Parameter 'E' must be one of \['x', 'y'\], not 'z'"),
    ],
)
def test_a_wrong_value_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationException, match=words):
        parameters.values(DECLARED, given)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"Type": "Integer", "DefaultValue": "2"}, "is of type Integer, and '2' is not"),
        ({"Type": "Integer", "DefaultValue": True}, "is of type Integer, and True is not"),
        ({"Type": "Float", "DefaultValue": "0.5"}, "is of type Float"),
        ({"Type": "Boolean", "DefaultValue": "true"}, "is of type Boolean"),
        ({"Type": "String", "DefaultValue": None}, "is of type String, and None is not"),
        ({"Type": "String", "EnumValues": [1]}, "and 1 is not"),
        ({"Type": "String", "DefaultValue": "z", "EnumValues": ["x"]}, r"must be one of \['x'\], not 'z'"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(members: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationException, match=words):
        parameters.check({"Name": "P"} | members)


def test_a_sound_declaration_passes() -> None:
    for spec in DECLARED.values():
        parameters.check(spec)
