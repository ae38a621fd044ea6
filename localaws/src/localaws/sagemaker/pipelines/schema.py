"""The JSON Schema of a pipeline definition, without the parts that depend on a step's type.

A step's members, arguments and references are validated in `definition`.

Source: "SageMaker Pipeline Definition JSON Schema", version 2020-12-01.
"""

import json

import jsonschema

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines.parameters import PARAMETER_TYPES
from localaws.sagemaker.pipelines.retrying import EXCEPTION_TYPES

VERSION = "2020-12-01"
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9\\-_]{1,64}$"}
_TEXT = {"type": "string"}


def _object(required: list[str], **properties: Document) -> Document:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


def _list(items: Document, **constraints: int) -> Document:
    return {"type": "array", "items": items, **constraints}


_PARAMETER = _object(
    ["Name", "Type"],
    Name=_NAME,
    Type={"enum": [*PARAMETER_TYPES]},
    Description=_TEXT,
    DefaultValue={},
    EnumValues=_list({}, minItems=1),
)
_RETRY_POLICY = _object(
    ["ExceptionType"],
    ExceptionType=_list({"enum": [*EXCEPTION_TYPES]}, minItems=1),
    IntervalSeconds={"type": "integer", "minimum": 0, "maximum": 43_200},
    BackoffRate={"type": "number", "minimum": 0},
    MaxAttempts={"type": "integer", "minimum": 0, "maximum": 20},
    ExpireAfterMin={"type": "integer", "minimum": 0, "maximum": 14_400},
)
_STEP = {
    "type": "object",
    "required": ["Name", "Type", "Arguments"],
    "properties": {
        "Name": _NAME,
        "Type": _TEXT,
        "Arguments": {"type": "object"},
        "DisplayName": {"type": "string", "maxLength": 256},
        "Description": {"type": "string", "maxLength": 3072},
        "DependsOn": _list(_TEXT),
        "CacheConfig": _object([], Enabled={"type": "boolean"}, ExpireAfter=_TEXT),
        "PropertyFiles": _list(
            _object(
                ["PropertyFileName", "OutputName", "FilePath"],
                PropertyFileName=_TEXT,
                OutputName=_TEXT,
                FilePath=_TEXT,
            )
        ),
        "RetryPolicies": _list(_RETRY_POLICY),
        "FunctionArn": _TEXT,
        "OutputParameters": _list(
            _object(["OutputName", "OutputType"], OutputName=_TEXT, OutputType={"enum": [*PARAMETER_TYPES]})
        ),
    },
}
_STEPS = jsonschema.Draft202012Validator(_list(_STEP))
_DEFINITION = jsonschema.Draft202012Validator(
    _object(
        ["Version", "Steps"],
        Version={"const": VERSION},
        Metadata={"type": "object"},
        PipelineExperimentConfig={"type": ["object", "null"]},
        Parameters=_list(_PARAMETER, maxItems=200),
        Steps=_list(_STEP, minItems=1),
    )
)


def load(body: str) -> Document:
    """Parse a definition and validate it against the schema.

    Raises:
        ValidationException: the text is not JSON, or does not match the schema.
    """
    try:
        document: Document = json.loads(body)
        error = jsonschema.exceptions.best_match(_DEFINITION.iter_errors(document))
    except (json.JSONDecodeError, RecursionError) as unreadable:
        raise ValidationException(
            f"Unable to parse the pipeline definition as JSON: {unreadable}"
        ) from unreadable
    if error is not None:
        raise ValidationException(f"Invalid pipeline definition at {error.json_path}: {error.message}")
    return document


def check_branch(steps: object, path: str) -> None:
    """Validate a branch of a condition step against the schema of steps.

    Raises:
        ValidationException: the branch does not match the schema.
    """
    error = jsonschema.exceptions.best_match(_STEPS.iter_errors(steps))
    if error is not None:
        raise ValidationException(
            f"Invalid pipeline definition at {path}{error.json_path[1:]}: {error.message}"
        )
