"""The runtime API: InvokeEndpoint and InvokeEndpointAsync."""

import json
import uuid
from collections.abc import Mapping

from localaws.sagemaker.api.errors import ModelError, ValidationError, ValidationException
from localaws.sagemaker.api.http import Answer
from localaws.sagemaker.api.shapes import service_model
from localaws.sagemaker.hosting.async_invocations import (
    TIMEOUT_SECONDS,
    TTL_SECONDS,
    AsyncRequest,
)
from localaws.sagemaker.hosting.endpoints import Endpoints
from localaws.sagemaker.platform.storage import S3Uri

BODY_BYTES = 6 * 1024 * 1024
ASYNC_BODY_BYTES = 128_000
INVOKE_SECONDS = 60.0

_PREFIX = "x-amzn-sagemaker-"
_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
_REFUSED = (
    "target-model",
    "target-container-hostname",
    "enable-explanations",
    "inference-component",
    "session-id",
)
_REFUSED_ASYNC = ("s3outputpathextension", "filename")


class Invocations:
    """Invoke endpoints; thread-safe."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def invoke(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request to the endpoint's model and return its response.

        Raises:
            ValidationError: the endpoint cannot be invoked, or the request is invalid.
            ModelError: the model returned an error or did not respond in time.
            ServiceUnavailable: the model server is being restarted.
        """
        _refuse(headers, _REFUSED)
        _check_size(body, BODY_BYTES)
        serving = self._endpoints.serving(endpoint)
        if serving.queue is not None:
            raise ValidationError(
                f"Endpoint {endpoint} is asynchronous: call InvokeEndpointAsync instead of InvokeEndpoint"
            )
        sent = {"Content-Type": headers.get("content-type"), "Accept": headers.get("accept")}
        with serving.traffic.lease() as deployment:
            variant = deployment.choose(headers.get(f"{_PREFIX}target-variant"))
            response = variant.invoke(_container_headers(headers, sent), body, INVOKE_SECONDS)
            if len(response.body) > BODY_BYTES:
                message = f"The model's response is longer than {BODY_BYTES} bytes"
                raise ModelError(message, message, response.status, message, variant.log_stream_arn)
        returned = {
            "Content-Type": response.headers.get("content-type"),
            "x-Amzn-Invoked-Production-Variant": variant.name,
            _CUSTOM_ATTRIBUTES: response.headers.get(_CUSTOM_ATTRIBUTES.lower()),
        }
        return 200, {name: value for name, value in returned.items() if value is not None}, response.body

    def invoke_async(self, endpoint: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Queue a request whose payload is an S3 object or the request's body.

        Raises:
            ValidationError: the endpoint is not asynchronous or not invocable, or the request is invalid.
        """
        _refuse(headers, _REFUSED_ASYNC)
        _check_size(body, ASYNC_BODY_BYTES)
        location = headers.get(f"{_PREFIX}inputlocation")
        if (location is None) == (not body):
            raise ValidationError("Exactly one of InputLocation and Body is required")
        if location is not None:
            _check_location(location)
        queue = self._endpoints.serving(endpoint).queue
        if queue is None:
            raise ValidationError(
                f"Endpoint {endpoint} is not asynchronous: call InvokeEndpoint instead of InvokeEndpointAsync"
            )
        inference_id = headers.get(_INFERENCE_ID.lower()) or str(uuid.uuid4())
        output, failure = queue.locations()
        sent = {
            "Content-Type": headers.get(f"{_PREFIX}content-type"),
            "Accept": headers.get(f"{_PREFIX}accept"),
            _INFERENCE_ID: inference_id,
        }
        request = AsyncRequest(
            inference_id=inference_id,
            location=location,
            body=body,
            output=output,
            failure=failure,
            headers=_container_headers(headers, sent),
            ttl=_seconds(headers, "RequestTTLSeconds", TTL_SECONDS),
            timeout=_seconds(headers, "InvocationTimeoutSeconds", TIMEOUT_SECONDS),
        )
        queue.put(request)
        returned = {
            "Content-Type": "application/json",
            "X-Amzn-SageMaker-OutputLocation": output,
            "X-Amzn-SageMaker-FailureLocation": failure,
        }
        return (
            202,
            {name: value for name, value in returned.items() if value is not None},
            json.dumps({"InferenceId": inference_id}).encode(),
        )


def _container_headers(headers: Mapping[str, str], sent: Mapping[str, str | None]) -> dict[str, str]:
    passed = {name: headers.get(name.lower()) for name in (_CUSTOM_ATTRIBUTES, _INFERENCE_ID)}
    return {name: value for name, value in {**passed, **sent}.items() if value is not None}


def _refuse(headers: Mapping[str, str], names: tuple[str, ...]) -> None:
    for header in (_PREFIX + name for name in names):
        if header in headers:
            raise ValidationError(f"The header {header} is not supported locally")


def _check_location(uri: str) -> None:
    try:
        has_key = bool(S3Uri.parse(uri).key)
    except ValidationException as error:
        raise ValidationError(error.message) from error
    if not has_key:
        raise ValidationError(f"The InputLocation {uri} has no key")


def _check_size(body: bytes, limit: int) -> None:
    if len(body) > limit:
        raise ValidationError(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have "
            f"length less than or equal to {limit}"
        )


def _seconds(headers: Mapping[str, str], member: str, default: int) -> int:
    text = headers.get(_PREFIX + member.lower())
    if text is None:
        return default
    bounds = service_model("sagemaker-runtime").shape_for(f"{member}Header").metadata
    if not text.isdecimal() or not bounds["min"] <= int(text) <= bounds["max"]:
        raise ValidationError(
            f"Value '{text}' at '{member[0].lower()}{member[1:]}' failed to satisfy constraint: it must be "
            f"a number from {bounds['min']} to {bounds['max']}"
        )
    return int(text)
