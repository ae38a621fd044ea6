"""References: found, resolved, and refused."""

import pytest

from localaws.sagemaker.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.pipelines import references

SCOPE = {
    "Parameters": {"Bucket": "s3://b", "Count": 3},
    "Execution": {"PipelineExecutionId": "abc"},
    "Steps": {
        "Prepare": {
            "ProcessingOutputConfig": {
                "Outputs": [
                    {"OutputName": "test", "S3Output": {"S3Uri": "s3://b/test"}},
                    {"OutputName": "train", "S3Output": {"S3Uri": "s3://b/train"}},
                ]
            }
        }
    },
}
TRAIN = {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"}


def test_values_replace_references_and_keep_their_type() -> None:
    join = {"Std:Join": {"On": "/", "Values": [{"Get": "Parameters.Bucket"}, "runs", TRAIN]}}
    arguments = {"Uri": join, "Count": {"Get": "Parameters.Count"}, "List": [TRAIN, "x"], "Plain": None}
    assert references.resolve(arguments, SCOPE) == {
        "Uri": "s3://b/runs/s3://b/train",
        "Count": 3,
        "List": ["s3://b/train", "x"],
        "Plain": None,
    }
    first = {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs[0].OutputName"}
    assert references.resolve(first, SCOPE) == "test"


def test_every_reference_is_found_wherever_it_stands() -> None:
    value = {"A": [{"B": TRAIN}], "C": {"Std:Join": {"On": "", "Values": [{"Get": "Execution.X"}]}}}
    assert sorted(references.find(value)) == ["Execution.X", TRAIN["Get"]]


@pytest.mark.parametrize(
    "path", ["Parameters.Nope", "Steps.Prepare.Nope", TRAIN["Get"].replace("train", "no")]
)
def test_a_reference_to_nothing_is_named(path: str) -> None:
    with pytest.raises(ValidationException, match="has no value: there is no"):
        references.resolve({"Get": path}, SCOPE)


def test_what_is_not_a_path_is_refused() -> None:
    with pytest.raises(ValidationException, match="not a property path"):
        references.resolve({"Get": "Parameters.Bucket[*]"}, SCOPE)


def test_a_function_that_only_aws_knows_is_refused() -> None:
    with pytest.raises(NotSupportedLocally, match="Std:JsonGet is not supported locally"):
        references.resolve({"Std:JsonGet": {"PropertyFile": "x"}}, SCOPE)
