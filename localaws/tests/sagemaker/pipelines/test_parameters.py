"""Parameters: declarations and values."""

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
    supplied = {"P": "p", "N": "3", "F": "0.5", "B": "True", "E": "y"}
    assert parameters.values(DECLARED, supplied) == {"P": "p", "N": 3, "F": 0.5, "B": True, "E": "y"}
    assert parameters.values(DECLARED, {"P": ""}) == {"P": "", "N": 2, "F": 1, "B": False, "E": "x"}


@pytest.mark.parametrize(
    ("supplied", "message"),
    [
        ({}, "Parameter 'P' has no value and no default"),
        ({"P": "p", "Q": "y"}, r"Unknown parameters \['Q'\]"),
        ({"P": "p", "N": "two"}, "Parameter 'N' is not Integer: 'two'"),
        ({"P": "p", "B": "yes"}, "Parameter 'B' is not Boolean: 'yes'"),
        ({"P": "p", "E": "z"}, r"Parameter 'E' must be one of \['x', 'y'\], not 'z'"),
    ],
)
def test_an_invalid_value_is_named(supplied: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationException, match=message):
        parameters.values(DECLARED, supplied)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Type": "Integer", "DefaultValue": "2"}, "is of type Integer, but '2' is not"),
        ({"Type": "Integer", "DefaultValue": True}, "is of type Integer, but True is not"),
        ({"Type": "Float", "DefaultValue": "0.5"}, "is of type Float"),
        ({"Type": "Boolean", "DefaultValue": "true"}, "is of type Boolean"),
        ({"Type": "String", "DefaultValue": None}, "is of type String, but None is not"),
        ({"Type": "String", "EnumValues": [1]}, "but 1 is not"),
        ({"Type": "String", "DefaultValue": "z", "EnumValues": ["x"]}, r"must be one of \['x'\], not 'z'"),
    ],
)
def test_an_invalid_declaration_is_rejected(members: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationException, match=message):
        parameters.check({"Name": "P"} | members)


def test_a_valid_declaration_is_accepted() -> None:
    for spec in DECLARED.values():
        parameters.check(spec)
