"""A pipeline's definition, checked as a whole before anything runs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import jsonschema

from localaws.sagemaker.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.pipelines import references
from localaws.sagemaker.pipelines.steps import STEP_TYPES
from localaws.sagemaker.shapes import Document

VERSION = "2020-12-01"
EXECUTION_VARIABLES = (
    "PipelineName",
    "PipelineArn",
    "PipelineExecutionId",
    "PipelineExecutionArn",
    "StartDateTime",
    "CurrentDateTime",
)
_PARAMETER_TYPES: dict[str, Callable[[Any], Any]] = {
    "String": str,
    "Integer": int,
    "Float": float,
    "Boolean": lambda value: str(value).lower() == "true",
}

_SCHEMA: Document = {
    "type": "object",
    "required": ["Version", "Steps"],
    "properties": {
        "Version": {"const": VERSION},
        "Metadata": {"type": "object"},
        "PipelineExperimentConfig": {"type": ["object", "null"]},
        "Parameters": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["Name", "Type"],
                "properties": {
                    "Name": {"type": "string", "pattern": "^[A-Za-z0-9\\-_]*$"},
                    "Type": {"enum": list(_PARAMETER_TYPES)},
                    "DefaultValue": {},
                    "EnumValues": {"type": "array", "minItems": 1},
                },
                "additionalProperties": False,
            },
        },
        "Steps": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["Name", "Type", "Arguments"],
                "properties": {
                    "Name": {"type": "string", "pattern": "^[A-Za-z0-9\\-_]{1,64}$"},
                    "Type": {"type": "string"},
                    "Arguments": {"type": "object"},
                    "DisplayName": {"type": "string"},
                    "Description": {"type": "string"},
                    "DependsOn": {"type": "array", "items": {"type": "string"}},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


@dataclass(frozen=True)
class PipelineDefinition:
    """What a pipeline does.

    Attributes:
        parameters: their declarations by name.
        steps: by name, as the definition has them.
        dependencies: for each step, the steps that have to succeed before it.
    """

    parameters: Mapping[str, Document]
    steps: Mapping[str, Document]
    dependencies: Mapping[str, frozenset[str]]

    @classmethod
    def parse(cls, body: str) -> "PipelineDefinition":
        """Read and check a definition.

        Raises:
            ValidationException: naming the step, parameter or reference that is wrong.
            NotSupportedLocally: for a step type that only AWS runs.
        """
        document = _load(body)
        steps = _by_name(document["Steps"], "step")
        parameters = _by_name(document.get("Parameters", []), "parameter")
        for step in steps.values():
            if step["Type"] not in STEP_TYPES:
                raise NotSupportedLocally(f"The step type {step['Type']!r} of step {step['Name']!r}")
            if references.is_reference(step["Arguments"]):
                raise ValidationException(f"The Arguments of step {step['Name']!r} are a reference")
        dependencies = {name: _dependencies(step, parameters, steps) for name, step in steps.items()}
        _refuse_cycles(dependencies)
        return cls(parameters, steps, dependencies)

    def parameter_values(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Every parameter's value for one execution.

        Raises:
            ValidationException: a value is missing, unknown or of another type.
        """
        unknown = sorted(set(given) - set(self.parameters))
        if unknown:
            known = ", ".join(self.parameters)
            raise ValidationException(f"Unknown parameters {unknown}: the pipeline has [{known}]")
        return {name: _parameter_value(spec, given.get(name)) for name, spec in self.parameters.items()}


def _load(body: str) -> Document:
    try:
        document: Document = json.loads(body)
        jsonschema.validate(document, _SCHEMA, cls=jsonschema.Draft202012Validator)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValidationException(f"Unable to parse the pipeline definition as JSON: {error}") from error
    except jsonschema.ValidationError as error:
        raise ValidationException(
            f"Invalid pipeline definition at {error.json_path}: {error.message}"
        ) from error
    return document


def _by_name(items: list[Document], noun: str) -> dict[str, Document]:
    named = {item["Name"]: item for item in items}
    if len(named) < len(items):
        names = [item["Name"] for item in items]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValidationException(f"Invalid pipeline definition: the {noun} names {twice} are not unique")
    return named


def _dependencies(
    step: Document, parameters: Mapping[str, Document], steps: Mapping[str, Document]
) -> frozenset[str]:
    name = step["Name"]
    needed = set(step.get("DependsOn", []))
    for path in references.find(step["Arguments"]):
        root, target, *_ = [*map(str, references.segments(path)), ""]
        known = {"Parameters": parameters, "Steps": steps, "Execution": EXECUTION_VARIABLES}.get(root)
        if known is None or target not in known:
            raise ValidationException(f"Step {name!r} refers to {path!r}, which the pipeline does not have")
        if root == "Steps":
            needed.add(target)
    missing = sorted(needed - set(steps))
    if missing:
        raise ValidationException(f"Step {name!r} depends on {missing}, which the pipeline does not have")
    return frozenset(needed)


def _refuse_cycles(dependencies: Mapping[str, frozenset[str]]) -> None:
    try:
        TopologicalSorter(dependencies).prepare()
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise ValidationException(f"Invalid pipeline definition: cycle between steps {cycle}") from error


def _parameter_value(spec: Document, given: str | None) -> Any:
    name = spec["Name"]
    value = given if given is not None else spec.get("DefaultValue")
    if value is None:
        raise ValidationException(f"Parameter {name!r} has no value and no default: give one at start")
    try:
        value = _PARAMETER_TYPES[spec["Type"]](value)
    except ValueError as error:
        raise ValidationException(f"Parameter {name!r} is not {spec['Type']}: {value!r}") from error
    if "EnumValues" in spec and value not in spec["EnumValues"]:
        raise ValidationException(f"Parameter {name!r} must be one of {spec['EnumValues']}, not {value!r}")
    return value
