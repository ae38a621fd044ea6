from typing import Any

import pytest

from localaws.sagemaker.api.errors import ClientFailure, ValidationException
from localaws.sagemaker.jobs.jsonpath import JsonPath

RECORD = {"id": 7, "text": "good", "features": [1, 2, 3], "nested": {"a b": [{"x": 1}, {"x": 2}]}}
ROW = ["a", "b", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize(
    ("path", "value", "selected"),
    [
        ("$", RECORD, RECORD),
        ("$.features", RECORD, [1, 2, 3]),
        ("$.features[0]", RECORD, 1),
        ("$['id','text']", RECORD, {"id": 7, "text": "good"}),
        ('$["id"]', RECORD, 7),
        ("$.nested['a b'][*].x", RECORD, [1, 2]),
        ("$.nested.*", RECORD, [[{"x": 1}, {"x": 2}]]),
        ("$[1:]", ROW, ["b", "c", "d", "e", "f", "g"]),
        ("$[0,5:]", ROW, ["a", "f", "g"]),
        ("$[:2]", ROW, ["a", "b"]),
        ("$[-1]", ROW, "g"),
        ("$[0, 2]", ROW, ["a", "c"]),
        ("$['a,b']", {"a,b": 1}, 1),
    ],
)
def test_a_path_selects_a_part_of_a_value(path: str, value: Any, selected: Any) -> None:
    assert JsonPath.compile(path).select(value) == selected


@pytest.mark.parametrize(
    "path", ["", "id", "$.", "$[", "$[]", "$[?(@.x)]", "$..x", "$[a]", "$['a'", "$.a b", "$[1:2:3]"]
)
def test_an_invalid_path_is_rejected(path: str) -> None:
    with pytest.raises(ValidationException, match="is not supported"):
        JsonPath.compile(path)


@pytest.mark.parametrize(
    ("path", "value"), [("$.none", RECORD), ("$[9]", ROW), ("$.id", ROW), ("$[0]", RECORD), ("$[1:]", RECORD)]
)
def test_a_path_without_a_match_fails(path: str, value: Any) -> None:
    with pytest.raises(ClientFailure, match="matches nothing in a record"):
        JsonPath.compile(path).select(value)
