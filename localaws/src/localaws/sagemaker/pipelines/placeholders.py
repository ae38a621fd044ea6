"""Placeholders for a definition's references, whose values are unknown before the pipeline runs.

With placeholders of the right types, a step's arguments are validated before anything runs, and references
to names that do not exist are found.
"""

from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.shapes import Document, Unknown
from localaws.sagemaker.pipelines import references
from localaws.sagemaker.pipelines.steps import CONDITION, FAIL, LAMBDA, STEP_TYPES, Step

PROPERTY_FILES = "PropertyFiles"
EXECUTION_VARIABLES = (
    "PipelineName",
    "PipelineArn",
    "PipelineExecutionId",
    "PipelineExecutionArn",
    "StartDateTime",
    "CurrentDateTime",
)
# botocore's names of the types of parameters and of a Lambda step's outputs.
_TYPE_NAMES = {"String": "string", "Integer": "integer", "Float": "float", "Boolean": "boolean"}
_SCALARS = (*_TYPE_NAMES.values(), "long", "double", "timestamp", "")


class Placeholders:
    """Replace references by Unknown values of the right type.

    Args:
        parameters: the pipeline's parameter declarations, by name.
        steps: all steps of the pipeline, by name.
    """

    def __init__(self, parameters: Mapping[str, Document], steps: Mapping[str, Step]) -> None:
        self._parameters = parameters
        self._steps = steps

    def fill(self, value: Any) -> Any:
        """Return the value with an Unknown in place of every reference.

        Raises:
            ValidationException: a reference is malformed, or names something that does not exist.
            NotSupportedLocally: the value has a function that only AWS supports.
        """
        match value:
            case {"Get": path}:
                return self._get(path, value)
            case {"Std:Join": dict(function)} if len(value) == 1:
                return self._join(function)
            case {"Std:JsonGet": dict(function)} if len(value) == 1:
                return self._json_get(function)
            case dict():
                if any(key.startswith("Std:") for key in value):
                    raise NotSupportedLocally(f"The pipeline function {value!r}")
                return {key: self.fill(item) for key, item in value.items()}
            case list():
                return [self.fill(item) for item in value]
            case _:
                return value

    def _get(self, path: Any, reference: Document) -> Unknown:
        if not isinstance(path, str) or len(reference) > 1:
            raise ValidationException(
                f"{reference!r} is not a reference, which has only the member Get, a path"
            )
        match references.segments(path):
            case ["Parameters", str(name)] if name in self._parameters:
                return Unknown(path, _TYPE_NAMES[self._parameters[name]["Type"]])
            case ["Execution", str(name)] if name in EXECUTION_VARIABLES:
                return Unknown(path, "string")
            case ["Steps", str(name), *parts] if name in self._steps and parts:
                return Unknown(path, _property_type(self._steps[name], parts, path))
        raise ValidationException(f"It refers to {path!r}, which does not exist in the pipeline")

    def _join(self, function: Document) -> Unknown:
        match function:
            case {"Values": list(values), **rest} if set(rest) <= {"On"} and isinstance(
                rest.get("On", ""), str
            ):
                for value in self.fill(values):
                    if not isinstance(value, str | int | float | Unknown) or _is_compound(value):
                        raise ValidationException(
                            f"Std:Join only joins strings, numbers and references, not {value!s}"
                        )
                return Unknown("Std:Join", "string")
        raise ValidationException(f"Std:Join requires On, a string, and Values, a list, not {function!r}")

    def _json_get(self, function: Document) -> Unknown:
        match function:
            case {"PropertyFile": {"Get": str(path)}, "Path": str(inner), **rest} if not rest:
                find_property_file(path, self._steps)
            case {"S3Uri": uri, "Path": str(inner), **rest} if not rest:
                _check_string(self.fill(uri), "The S3Uri of a Std:JsonGet")
            case _:
                raise ValidationException(
                    f"Std:JsonGet requires Path and either PropertyFile, a Get, or S3Uri, not {function!r}"
                )
        references.segments(inner.removeprefix("$"))
        return Unknown("Std:JsonGet")


def find_property_file(path: str, steps: Mapping[str, Step]) -> tuple[str, Document]:
    """Return the step's name and the property file of a path "Steps.<step>.PropertyFiles.<file>".

    Raises:
        ValidationException: the property file does not exist.
    """
    match references.segments(path):
        case ["Steps", str(name), "PropertyFiles", str(file_name)] if name in steps:
            files: list[Document] = steps[name].document.get(PROPERTY_FILES, [])
            if found := [file for file in files if file["PropertyFileName"] == file_name]:
                return name, found[0]
            known = ", ".join(file["PropertyFileName"] for file in files) or "none"
            raise ValidationException(
                f"It refers to {path!r}, but the property files of step {name!r} are [{known}]"
            )
    raise ValidationException(f"It refers to {path!r}, which does not exist in the pipeline")


def _check_string(value: Any, subject: str) -> None:
    if not isinstance(value, str) and not (isinstance(value, Unknown) and value.type_name == "string"):
        raise ValidationException(f"{subject} must be a string, not {value!s}")


def _is_compound(value: Any) -> bool:
    return isinstance(value, Unknown) and value.type_name not in _SCALARS


def _property_type(step: Step, parts: list[str | int], path: str) -> str:
    """Return botocore's name of the type of a step's property."""
    match step.type, parts:
        case type_name, [_, *_] if type_name == FAIL:
            raise ValidationException(f"It refers to {path!r}, but a Fail step has no properties")
        case _, ["PropertyFiles", *_]:
            raise ValidationException(f"{path!r} is a property file, which only Std:JsonGet can read")
        case type_name, ["Outcome"] if type_name == CONDITION:
            return "boolean"
        case type_name, ["OutputParameters", str(name)] if type_name == LAMBDA:
            outputs = {
                output["OutputName"]: output["OutputType"] for output in step.document["OutputParameters"]
            }
            if name in outputs:
                return _TYPE_NAMES[outputs[name]]
        case type_name, _ if type_name in STEP_TYPES:
            return _response_type(step, parts, path)
    raise ValidationException(f"It refers to {path!r}, which a {step.type} step does not have")


def _response_type(step: Step, parts: list[str | int], path: str) -> str:
    shapes = STEP_TYPES[step.type].response_shapes
    shape: Shape = next((one for one in shapes if parts[0] in one.members), shapes[0])
    argument: Any = step.arguments
    for part in parts:
        shape = _member(shape, argument, part, path)
        argument = _argument(argument, part)
    return str(shape.type_name)


def _member(shape: Shape, argument: Any, part: str | int, path: str) -> Shape:
    """Return the shape one part further down the path.

    Args:
        shape: the shape of the response so far.
        argument: the step's argument at the same path, if the response repeats arguments.
        part: the next part of the path.
        path: the whole path, for messages.
    """
    match shape, part:
        case StructureShape(), str() if part in shape.members:
            return shape.members[part]
        case StructureShape(), _:
            known = ", ".join(shape.members)
            raise ValidationException(
                f"It refers to {path!r}, but {shape.name} has no member {part!r}, only {known}"
            )
        case ListShape(), int():
            return shape.member
        case ListShape(), str():
            names = [_item_name(item) for item in argument] if isinstance(argument, list) else [part]
            if part in names or None in names:
                return shape.member
            raise ValidationException(
                f"It refers to {path!r}, but the list has no item {part!r}, only {', '.join(map(str, names))}"
            )
        case MapShape(), str():
            return shape.value
    raise ValidationException(f"It refers to {path!r}, but the value before {part!r} has no members")


def _argument(argument: Any, part: str | int) -> Any:
    if isinstance(argument, dict):
        return argument.get(str(part))
    if isinstance(argument, list) and isinstance(part, str):
        return next((item for item in argument if _item_name(item) == part), None)
    if isinstance(argument, list) and isinstance(part, int) and part < len(argument):
        return argument[part]
    return None


def _item_name(item: Any) -> str | None:
    """Return the name of a list's item; None if it is not known before the pipeline runs."""
    names = [item[member] for member in references.ITEM_NAMES if member in item]
    return names[0] if names and isinstance(names[0], str) else None
