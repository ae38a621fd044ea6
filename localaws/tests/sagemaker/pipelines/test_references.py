"""References: found, resolved, or rejected."""

from typing import Any

import pytest

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.pipelines import references

SCOPE = {
    "Parameters": {"Bucket": "s3://b", "Count": 3, "my-flag": True},
    "Execution": {"PipelineExecutionId": "abc"},
    "Steps": {
        "Train-CreateModel": {"ModelName": "model-1"},
        "Prepare": {
            "ProcessingOutputConfig": {
                "Outputs": [
                    {"OutputName": "test", "S3Output": {"S3Uri": "s3://b/test"}},
                    {"OutputName": "train", "S3Output": {"S3Uri": "s3://b/train"}},
                ]
            }
        },
    },
}
TRAIN = {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"}


def resolve(value: Any) -> Any:
    return references.resolve(value, SCOPE, lambda function: f"at {function['Path']}")


def test_values_replace_references_and_keep_their_type() -> None:
    join = {"Std:Join": {"On": "/", "Values": [{"Get": "Parameters.Bucket"}, "runs", TRAIN]}}
    arguments = {"Uri": join, "Count": {"Get": "Parameters.Count"}, "List": [TRAIN, "x"], "Null": None}
    assert resolve(arguments) == {
        "Uri": "s3://b/runs/s3://b/train",
        "Count": 3,
        "List": ["s3://b/train", "x"],
    }
    assert resolve({"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs[0].OutputName"}) == "test"


def test_names_can_contain_hyphens() -> None:
    assert resolve({"Get": "Steps.Train-CreateModel.ModelName"}) == "model-1"


def test_a_join_formats_values_like_json() -> None:
    inner = {"Std:Join": {"Values": ["a", {"Get": "Parameters.Count"}]}}
    values = [{"Get": "Parameters.my-flag"}, 0.5, inner, {"Std:JsonGet": {"Path": "x"}}]
    assert resolve({"Std:Join": {"On": ",", "Values": values}}) == "true,0.5,a3,at x"


def test_references_are_found_at_any_depth() -> None:
    value = {"A": [{"B": TRAIN}], "C": {"Std:Join": {"On": "", "Values": [{"Get": "Execution.X"}]}}}
    assert sorted(references.find(value)) == ["Execution.X", TRAIN["Get"]]


@pytest.mark.parametrize(
    "path",
    ["Parameters.Nope", "Steps.Prepare.Nope", TRAIN["Get"].replace("train", "no"), "Parameters.Bucket[0]"],
)
def test_a_reference_without_a_value_is_named(path: str) -> None:
    with pytest.raises(ValidationException, match=r"has no value: .* does not exist"):
        resolve({"Get": path})


def test_an_invalid_path_is_rejected() -> None:
    with pytest.raises(ValidationException, match="not a property path"):
        resolve({"Get": "Parameters.Bucket[*]"})


def test_a_function_that_only_aws_supports_is_rejected() -> None:
    with pytest.raises(NotSupportedLocally, match="Std:Moon is not supported locally"):
        resolve({"Std:Moon": {}})
