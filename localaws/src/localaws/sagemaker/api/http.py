"""The HTTP interface: JSON 1.1 for the control plane, REST for invocations and the feature store."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from localaws.sagemaker.api.authorization import Authorize, required_permissions
from localaws.sagemaker.api.errors import (
    NotSupportedLocally,
    SageMakerError,
    UnknownOperation,
    ValidationException,
)
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.rest import JSON_TYPE as REST_JSON_TYPE
from localaws.sagemaker.api.rest import Query, RestApi
from localaws.sagemaker.api.shapes import Document, operation_model, parse_request, render_response

Answer = tuple[int, dict[str, str], bytes]

CONTROL_PLANE = "sagemaker"
JSON_TYPE = "application/x-amz-json-1.1"
_TARGET = re.compile(r"SageMaker\.(\w+)")
_INVOKE = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations)")

logger = logging.getLogger("localaws.sagemaker")


class Invocations(Protocol):
    """Handles InvokeEndpoint and InvokeEndpointAsync; header names are in lower case."""

    def invoke(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the response of the endpoint's model."""

    def invoke_async(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Queue a request whose payload is an S3 object or the body."""


class Http:
    """Maps HTTP requests to operations, and their results or errors to HTTP responses."""

    def __init__(
        self,
        operations: Mapping[str, Operation],
        rest_apis: Sequence[RestApi],
        invocations: Invocations,
        arn_prefix: str,
    ) -> None:
        """Register the handlers.

        Args:
            operations: the control plane's operations, by name.
            rest_apis: the runtime APIs besides InvokeEndpoint.
            invocations: handles InvokeEndpoint and InvokeEndpointAsync.
            arn_prefix: the prefix of the account's ARNs.
        """
        self._operations = {CONTROL_PLANE: operations} | {api.service: api.operations for api in rest_apis}
        self._rest_apis = rest_apis
        self._invocations = invocations
        self._arn_prefix = arn_prefix

    def handle(
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes,
        authorize: Authorize,
    ) -> Answer:
        """Handle a request; an unexpected exception is logged and returned as an InternalFailure.

        Args:
            method: the HTTP method.
            path: the URL's path, decoded.
            query: the URL's parameters.
            headers: the headers, by name in lower case.
            body: the request's body.
            authorize: raises AccessDeniedException for a missing permission.
        """
        try:
            if invocation := _INVOKE.fullmatch(path):
                return self._invoke(invocation[1], invocation[2], headers, body, authorize)
            for api in self._rest_apis:
                if rest_request := api.request(method, path, query, body):
                    result = self._run_authorized(*rest_request, authorize, api.service)
                    return 200, {"Content-Type": REST_JSON_TYPE}, json.dumps(result).encode()
            result = self._run_authorized(*_json_request(headers, body), authorize, CONTROL_PLANE)
            return 200, {"Content-Type": JSON_TYPE}, json.dumps(result).encode()
        except SageMakerError as error:
            return _error_response(error.status, error.body())
        except Exception:
            logger.exception("%s failed", headers.get("x-amz-target", path))
            message = "An internal error occurred: see the log of localaws"
            return _error_response(500, {"__type": "InternalFailure", "message": message})

    def call(self, operation: str, wire: Document) -> Document:
        """Run an operation of the control plane without an authorization check.

        Raises:
            SageMakerError: the operation failed.
        """
        return self._run_operation(operation, self._parse(operation, wire, CONTROL_PLANE), CONTROL_PLANE)

    def _run_authorized(self, operation: str, wire: Document, authorize: Authorize, service: str) -> Document:
        request = self._parse(operation, wire, service)
        self._authorize(operation, request, authorize)
        return self._run_operation(operation, request, service)

    def _parse(self, operation: str, wire: Document, service: str) -> Document:
        operation_model(operation, service)
        if operation not in self._operations[service]:
            raise NotSupportedLocally(f"The operation {operation}")
        return parse_request(operation, wire, service)

    def _run_operation(self, operation: str, request: Document, service: str) -> Document:
        return render_response(operation, self._operations[service][operation](request), service)

    def _authorize(self, operation: str, request: Document, authorize: Authorize) -> None:
        for permission in required_permissions(operation, request, self._arn_prefix):
            authorize(permission)

    def _invoke(
        self, endpoint: str, verb: str, headers: Mapping[str, str], body: bytes, authorize: Authorize
    ) -> Answer:
        operation = "InvokeEndpoint" if verb == "invocations" else "InvokeEndpointAsync"
        self._authorize(operation, {"EndpointName": endpoint}, authorize)
        if verb == "invocations":
            return self._invocations.invoke(endpoint, headers, body)
        return self._invocations.invoke_async(endpoint, headers, body)


def _json_request(headers: Mapping[str, str], body: bytes) -> tuple[str, Document]:
    target = _TARGET.fullmatch(headers.get("x-amz-target", ""))
    if target is None:
        raise UnknownOperation(f"The header X-Amz-Target names no operation: {headers.get('x-amz-target')!r}")
    try:
        request = json.loads(body or b"{}")
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise ValidationException(f"The request's body is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ValidationException("The request's body is not a JSON object")
    return target[1], request


def _error_response(status: int, body: Document) -> Answer:
    headers = {"Content-Type": JSON_TYPE, "x-amzn-ErrorType": str(body["__type"])}
    return status, headers, json.dumps(body).encode()
