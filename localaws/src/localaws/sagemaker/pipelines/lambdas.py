"""Lambda steps: call a function as the pipeline's role and return the step's outputs."""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines import references
from localaws.sagemaker.pipelines.errors import StepFailed

_TYPES: dict[str, type | tuple[type, ...]] = {
    "String": str,
    "Integer": int,
    "Float": (int, float),
    "Boolean": bool,
}


def invoke(
    function_arn: str, arguments: Document, outputs: list[Document], client: Callable[[], Any]
) -> Document:
    """Call a function and return its outputs by name.

    Args:
        function_arn: the function.
        arguments: its event.
        outputs: the step's OutputParameters: OutputName and OutputType.
        client: returns a Lambda client with the pipeline's role.

    Raises:
        StepFailed: the call failed, the function failed, or an output is missing.
    """
    try:
        response = client().invoke(FunctionName=function_arn, Payload=json.dumps(arguments).encode())
        payload = response["Payload"].read()
    except (ClientError, BotoCoreError) as error:
        raise StepFailed(f"ClientError: Failed to invoke {function_arn}. Error Details: {error}") from error
    if "FunctionError" in response:
        shown = payload.decode(errors="replace")
        raise StepFailed(f"ClientError: Lambda function {function_arn} failed: {shown}")
    try:
        result = json.loads(payload or b"null")
    except ValueError as error:
        raise StepFailed(f"ClientError: Lambda function {function_arn} did not return JSON") from error
    return {output["OutputName"]: _output(output, result, function_arn) for output in outputs}


def metadata(function_arn: str, outputs: Document) -> Document:
    """Return the step's Metadata."""
    parameters = [{"Name": name, "Value": references.text(value)} for name, value in outputs.items()]
    return {"Lambda": {"Arn": function_arn, "OutputParameters": parameters}}


def _output(output: Document, result: Any, function_arn: str) -> Any:
    name, type_name = output["OutputName"], output["OutputType"]
    value = result.get(name) if isinstance(result, dict) else None
    valid = isinstance(value, _TYPES[type_name]) and isinstance(value, bool) == (type_name == "Boolean")
    if not valid:
        raise StepFailed(
            f"ClientError: Lambda function {function_arn} must return {name!r} of type {type_name}, "
            f"not {value!r}"
        )
    return value
