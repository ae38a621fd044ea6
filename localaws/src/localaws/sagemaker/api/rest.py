"""SageMaker's runtime APIs: REST with JSON bodies, as described by botocore's models."""

import json
import re
from collections.abc import Mapping, Sequence

from botocore.model import ListShape, OperationModel

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document, operation_model, service_model

JSON_TYPE = "application/json"

Query = Mapping[str, Sequence[str]]
"""The values of the query string, by name."""


class RestApi:
    """One REST API: its routes and operations.

    Attributes:
        service: botocore's name of the API, such as "sagemaker-featurestore-runtime".
        operations: the supported operations, by name.
    """

    def __init__(self, service: str, operations: Mapping[str, Operation]) -> None:
        self.service = service
        self.operations = operations
        models = [operation_model(name, service) for name in service_model(service).operation_names]
        self._routes = [(model.http["method"], _pattern(model), model.name) for model in models]

    def request(self, method: str, path: str, query: Query, body: bytes) -> tuple[str, Document] | None:
        """Return the operation and the members of an HTTP request; None for a request of another API.

        Args:
            method: the HTTP method, in uppercase.
            path: the URL's path, decoded.
            query: the URL's parameters, decoded.
            body: the request's body.

        Raises:
            ValidationException: the body is not a JSON object.
        """
        for route_method, pattern, operation in self._routes:
            if method == route_method and (match := pattern.fullmatch(path)):
                return operation, self._members(operation, match.groupdict(), query, body)
        return None

    def _members(self, operation: str, parts: Mapping[str, str], query: Query, body: bytes) -> Document:
        shape = operation_model(operation, self.service).input_shape
        members = _json_object(body)
        for name, member in shape.members.items() if shape else ():
            wire_name = member.serialization.get("name", name)
            match member.serialization.get("location"):
                case "uri":
                    members[name] = parts[wire_name]
                case "querystring" if wire_name in query:
                    values = list(query[wire_name])
                    members[name] = values if isinstance(member, ListShape) else values[0]
        return members


def _pattern(model: OperationModel) -> re.Pattern[str]:
    # A parameter can contain slashes, since an ARN can replace a resource's name.
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>.+)", model.http["requestUri"]))


def _json_object(body: bytes) -> Document:
    try:
        document = json.loads(body or b"{}")
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise ValidationException(f"The request's body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValidationException("The request's body is not a JSON object")
    return document
