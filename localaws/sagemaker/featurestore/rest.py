"""The feature store's runtime API on the wire: REST with JSON bodies, as botocore's model describes it."""

import functools
import json
import re
from collections.abc import Mapping, Sequence

from botocore.model import ListShape, OperationModel

from localaws.sagemaker.errors import ValidationException
from localaws.sagemaker.shapes import Document, operation_model, service_model

SERVICE = "sagemaker-featurestore-runtime"
JSON_TYPE = "application/json"

Query = Mapping[str, Sequence[str]]
"""The query string's values by name."""


def request(method: str, path: str, query: Query, body: bytes) -> tuple[str, Document] | None:
    """The operation that an HTTP request asks for, and its members; None when it is another API's.

    Args:
        method: in capital letters.
        path: the URL's path, decoded.
        query: of the URL, decoded.
        body: as sent.

    Raises:
        ValidationException: the body is not a JSON object.
    """
    for route_method, pattern, operation in _routes():
        if method == route_method and (found := pattern.fullmatch(path)):
            return operation, _members(operation, found.groupdict(), query, body)
    return None


@functools.cache
def _routes() -> list[tuple[str, re.Pattern[str], str]]:
    models = [operation_model(name, SERVICE) for name in service_model(SERVICE).operation_names]
    return [(model.http["method"], _pattern(model), model.name) for model in models]


def _pattern(model: OperationModel) -> re.Pattern[str]:
    # An ARN may stand for a group's name, with a slash in it.
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>.+)", model.http["requestUri"]))


def _members(operation: str, parts: Mapping[str, str], query: Query, body: bytes) -> Document:
    shape = operation_model(operation, SERVICE).input_shape
    members = _json_object(body)
    for name, member in shape.members.items() if shape else ():
        given = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "uri":
                members[name] = parts[given]
            case "querystring" if given in query:
                values = list(query[given])
                members[name] = values if isinstance(member, ListShape) else values[0]
    return members


def _json_object(body: bytes) -> Document:
    try:
        found = json.loads(body or b"{}")
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise ValidationException(f"The request's body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValidationException("The request's body is not a JSON object")
    return found
