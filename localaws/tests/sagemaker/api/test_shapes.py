"""Validation of requests by botocore's model, with messages like SageMaker's."""

from datetime import UTC, datetime
from typing import Any

import pytest

from localaws.sagemaker.api.errors import UnknownOperation, ValidationException
from localaws.sagemaker.api.shapes import (
    Unknown,
    operation_model,
    parse_request,
    render_response,
    service_model,
    violations,
)

INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({}, "Value null at 'modelName' failed to satisfy constraint: Member must not be null"),
    "pattern": ({"ModelName": "-a"}, "Value '-a' at 'modelName' .* regular expression pattern"),
    "length": ({"ModelName": "a" * 64}, "Member must have length less than or equal to 63"),
    "type": ({"ModelName": 1}, "Value '1' at 'modelName' must be a string"),
    "unknown": ({"ModelName": "a", "Modell": "b"}, "Unknown member 'Modell'"),
    "boolean": (
        {"ModelName": "a", "EnableNetworkIsolation": "yes"},
        "at 'enableNetworkIsolation' must be a boolean",
    ),
    "enum": (
        {"ModelName": "a", "PrimaryContainer": {"Mode": "Triple"}},
        r"'primaryContainer.mode' .* enum value set: \[SingleModel, MultiModel\]",
    ),
    "list": ({"ModelName": "a", "Containers": {}}, "'containers' must be a list"),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_violated_constraint_is_named(case: str) -> None:
    request, message = INVALID[case]
    with pytest.raises(ValidationException, match=message):
        parse_request("CreateModel", request)


def test_all_violations_are_in_one_message() -> None:
    with pytest.raises(ValidationException, match="3 validation errors detected"):
        parse_request("CreateModel", {"ModelName": "-", "ExecutionRoleArn": "nobody"})


def test_numbers_must_be_within_their_bounds() -> None:
    with pytest.raises(ValidationException, match="Member must have value less than or equal to 100"):
        parse_request("ListModels", {"MaxResults": 101})
    with pytest.raises(ValidationException, match="must be a integer"):
        parse_request("ListModels", {"MaxResults": True})


@pytest.mark.parametrize("moment", ["yesterday", 1e18, -1e18, 10**400, float("nan"), "9999-99-99"])
def test_an_invalid_timestamp_is_rejected(moment: str | float) -> None:
    with pytest.raises(ValidationException, match="at 'creationTimeAfter' must be a timestamp"):
        parse_request("ListModels", {"CreationTimeAfter": moment})


def test_a_timestamp_without_a_zone_is_utc() -> None:
    request = parse_request("ListModels", {"CreationTimeAfter": "2026-01-02T00:00:00"})
    assert request == {"CreationTimeAfter": datetime(2026, 1, 2, tzinfo=UTC)}


def test_an_unknown_operation_is_rejected() -> None:
    with pytest.raises(UnknownOperation, match="'CreateUnicorn'"):
        parse_request("CreateUnicorn", {})


def test_timestamps_are_datetimes_inside_and_seconds_in_json() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    request = parse_request("ListModels", {"CreationTimeAfter": moment.timestamp()})
    assert request == {"CreationTimeAfter": moment}
    record = {"ModelName": "m", "CreationTime": moment, "_private": 1, "DeploymentRecommendation": None}
    assert render_response("DescribeModel", record) == {"ModelName": "m", "CreationTime": moment.timestamp()}


def test_an_unknown_value_is_only_checked_for_its_type() -> None:
    shape = operation_model("CreateTransformJob").input_shape
    assert shape is not None
    request = {
        "TransformJobName": Unknown("its name"),
        "ModelName": Unknown("Parameters.Model", "string"),
        "MaxPayloadInMB": Unknown("Parameters.Size", "float"),
        "TransformInput": Unknown("Parameters.Input", "string"),
        "TransformOutput": {"S3OutputPath": "s3://b/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": Unknown("n", "integer")},
    }
    assert violations(request, shape) == [
        "Value 'Parameters.Size' of type float at 'maxPayloadInMB' must be a integer",
        "Value at 'transformInput' must be a structure",
    ]


def test_patterns_with_surrogate_pairs_are_supported() -> None:
    shape = service_model("sagemaker").shape_for("AthenaCatalog")
    assert violations("sales \U0001f600", shape) == []
    assert len(violations("sales\nof today", shape)) == 1
