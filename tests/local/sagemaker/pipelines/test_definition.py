"""Definitions: whole, or refused with a name."""

import json
from typing import Any

import pytest

from localaws.sagemaker.errors import ValidationException
from localaws.sagemaker.pipelines.definition import PipelineDefinition

STEP = {"Name": "A", "Type": "Training", "Arguments": {"X": {"Get": "Parameters.P"}}}


def body(*steps: dict[str, Any], **top: Any) -> str:
    parameters = [
        {"Name": "P", "Type": "String"},
        {"Name": "N", "Type": "Integer", "DefaultValue": 2, "EnumValues": [1, 2]},
    ]
    return json.dumps({"Version": "2020-12-01", "Parameters": parameters, "Steps": list(steps)} | top)


def after(name: str, *others: str, **members: Any) -> dict[str, Any]:
    arguments = {other: {"Get": f"Steps.{other}.ModelArtifacts.S3ModelArtifacts"} for other in others}
    return {"Name": name, "Type": "Model", "Arguments": arguments} | members


def test_order_comes_from_references_and_from_depends_on() -> None:
    definition = PipelineDefinition.parse(body(STEP, after("B", "A"), after("C", DependsOn=["A", "B"])))
    assert definition.dependencies == {"A": frozenset(), "B": {"A"}, "C": {"A", "B"}}


WRONG = {
    "not JSON": ("{", "Unable to parse the pipeline definition as JSON"),
    "too deep": ("[" * 100_000, "Unable to parse the pipeline definition as JSON"),
    "no steps": (body(), r"at \$.Steps: \[\]"),
    "unknown member": (body({**STEP, "Cache": 1}), "'Cache' was unexpected"),
    "version": (body(STEP, Version="1999"), "'2020-12-01' was expected"),
    "twice": (body(STEP, STEP), r"the step names \['A'\] are not unique"),
    "type": (body({**STEP, "Type": "Lambda"}), "step type 'Lambda' of step 'A' is not supported locally"),
    "dangling step": (body(after("B", "Z")), "Step 'B' refers to 'Steps.Z.ModelArtifacts"),
    "dangling parameter": (
        body({**STEP, "Arguments": {"X": {"Get": "Parameters.Q"}}}),
        "Step 'A' refers to 'Parameters.Q'",
    ),
    "dangling variable": (
        body({**STEP, "Arguments": {"X": {"Get": "Execution.Moon"}}}),
        "refers to 'Execution.Moon'",
    ),
    "reference as arguments": (
        body({**STEP, "Arguments": {"Get": "Parameters.P"}}),
        "The Arguments of step 'A' are a reference",
    ),
    "function as arguments": (
        body({**STEP, "Arguments": {"Std:Join": {"On": "", "Values": ["a"]}}}),
        "The Arguments of step 'A' are a reference",
    ),
    "missing dependency": (body(after("B", DependsOn=["Z"])), r"Step 'B' depends on \['Z'\]"),
    "cycle": (body(after("A", "B"), after("B", "A")), "cycle between steps (A -> B -> A|B -> A -> B)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_broken_definition_is_refused(case: str) -> None:
    text, words = WRONG[case]
    with pytest.raises(ValidationException, match=words):
        PipelineDefinition.parse(text)


def test_parameters_have_their_type_and_default() -> None:
    definition = PipelineDefinition.parse(body(STEP))
    assert definition.parameter_values({"P": "x"}) == {"P": "x", "N": 2}
    assert definition.parameter_values({"P": "x", "N": "1"}) == {"P": "x", "N": 1}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Parameter 'P' has no value and no default"),
        ({"P": "x", "Q": "y"}, r"Unknown parameters \['Q'\]"),
        ({"P": "x", "N": "two"}, "Parameter 'N' is not Integer: 'two'"),
        ({"P": "x", "N": "3"}, r"must be one of \[1, 2\], not 3"),
    ],
)
def test_a_wrong_parameter_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationException, match=words):
        PipelineDefinition.parse(body(STEP)).parameter_values(given)
