"""Implement SageMaker's serving contract: /ping, /invocations and /execution-parameters, plus /metrics."""

import asyncio
import os
import signal
import traceback
from asyncio import Future
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import orjson
from numpy.typing import NDArray

from toolkit.batching import Batcher
from toolkit.classifier import Batching, Classifier, Explainer, Weights
from toolkit.content_types import CHARSET, CSV, JSON, answer_type, has_header, request_type
from toolkit.errors import DeviceError, RequestError
from toolkit.executor import Executor
from toolkit.formats import Inputs, parse, render
from toolkit.messages import Request, Response, refusal
from toolkit.metrics import CONTENT_TYPE, Metrics
from toolkit.settings import MEGABYTE, Settings

INVOCATIONS = b"/invocations"
INLINE_SECONDS = 0.003  # shorter work runs on the event loop: it delays no ping noticeably
OVERHEAD_BYTES = 1000  # fixed cost per request, in bytes of body
PACE_SMOOTHING = 0.9  # weight of earlier requests in the moving average
DEFAULT_PAYLOAD_MEGABYTES = 6  # per batch transform request; SageMaker's default
TRANSFORMS_MEGABYTES = 100  # of all concurrent requests together; SageMaker's limit


class Application:
    """Answer requests with one model."""

    def __init__(self, classifier: Classifier, metrics: Metrics, settings: Settings) -> None:
        self.classifier = classifier
        self.metrics = metrics
        self.settings = settings
        self.ready = True
        self.device_lost = False  # the model's device, such as a GPU
        self.seconds_per_byte = float("inf")
        self.executor = Executor("model")
        self.batcher: Batcher | None = None
        batching = getattr(classifier, "batching", None)
        if isinstance(batching, Batching):
            self.batcher = Batcher(batching, partial(self.executor.submit, self.predict))

    def respond(self, request: Request) -> "Response | Future[Response]":
        """Answer a request, directly or with a future."""
        path, method = request.path, request.method
        if path == INVOCATIONS:
            return self.invoke(request) if method == b"POST" else method_not_allowed("POST")
        if path not in PAGES:
            return refusal(404, f"unknown path {path.decode('latin-1')}; POST /invocations")
        return PAGES[path](self) if method == b"GET" else method_not_allowed("GET")

    def invoke(self, request: Request) -> "Response | Future[Response]":
        """Classify texts: short requests on the event loop, long ones in a thread."""
        try:
            described = request.header(b"content-type")
            content_type, header = request_type(described), has_header(described)
            accept = answer_type(request.header(b"accept"), content_type)
        except RequestError as error:
            return refusal(error.status, str(error))
        body = request.body
        read = partial(parse, body, content_type, header=header)
        if self.batcher:
            return asyncio.ensure_future(self.answer_in_batch(self.batcher, read, accept))
        if self.seconds_per_byte * (OVERHEAD_BYTES + len(body)) < INLINE_SECONDS:
            return self.answer(read, len(body), accept)
        return self.executor.submit(self.answer, read, len(body), accept)

    def answer(self, read: Callable[[], Inputs], size: int, accept: str) -> Response:
        """Parse, classify and render one request of `size` bytes."""
        started = perf_counter()
        try:
            inputs = read()
            response = self.render_response(inputs, self.predict(inputs.texts), accept)
        except Exception as error:
            return self.failure(error)
        seconds_per_byte = (perf_counter() - started) / (OVERHEAD_BYTES + size)
        self.seconds_per_byte = (
            seconds_per_byte
            if self.seconds_per_byte == float("inf")
            else self.seconds_per_byte * PACE_SMOOTHING + seconds_per_byte * (1 - PACE_SMOOTHING)
        )
        return response

    async def answer_in_batch(self, batcher: Batcher, read: Callable[[], Inputs], accept: str) -> Response:
        """Answer a request whose texts are classified together with those of other requests."""
        try:
            inputs = read()
            probabilities = await batcher.add(inputs.texts)
            return await self.executor.submit(self.render_response, inputs, probabilities, accept)
        except Exception as error:
            return self.failure(error)

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Call the model and check the shape of its probabilities."""
        started = perf_counter()
        probabilities = self.classifier.predict(texts)
        self.metrics.record_model_call(perf_counter() - started)
        expected = (len(texts), len(self.classifier.labels))
        if probabilities.shape != expected:
            raise TypeError(f"predict returned probabilities of shape {probabilities.shape}, not {expected}")
        return probabilities

    def render_response(self, inputs: Inputs, probabilities: NDArray[Any], accept: str) -> Response:
        """Render the response."""
        if inputs.explain and accept == CSV:
            raise RequestError(400, f"CSV cannot hold an explanation; accept {JSON}")
        explanations = self.explain_rows(inputs) if inputs.explain else {}
        body = render(inputs, self.classifier.labels, probabilities, explanations, accept)
        return Response(200, body, CHARSET[accept], len(inputs.texts))

    def explain_rows(self, inputs: Inputs) -> dict[int, Weights]:
        """Explain the rows that request an explanation."""
        if not isinstance(self.classifier, Explainer):
            raise RequestError(400, "this model does not support explanations; remove 'explain'")
        found = {}
        for place, top in inputs.explain.items():
            [found[place]] = self.classifier.explain([inputs.texts[place]], top)
        return found

    def failure(self, error: Exception) -> Response:
        """Turn an error into a response; only the client's own errors carry their message."""
        if isinstance(error, RequestError):
            return refusal(error.status, str(error))
        traceback.print_exception(error)
        if isinstance(error, DeviceError) and not self.device_lost:
            self.device_lost = True
            os.kill(os.getpid(), signal.SIGTERM)  # the parent process or SageMaker starts a new one
        return refusal(500, f"the model failed with {type(error).__name__}; see the server's log")

    def ping(self) -> Response:
        """Report whether the server is ready."""
        return Response(200) if self.ready else refusal(503, "stopping")

    def execution_parameters(self) -> Response:
        """Return the defaults for a batch transform job that sets no values."""
        megabytes = min(DEFAULT_PAYLOAD_MEGABYTES, max(1, self.settings.body_bytes // MEGABYTE))
        parameters = {
            "MaxConcurrentTransforms": min(
                self.settings.workers or 1, self.settings.held_bodies, TRANSFORMS_MEGABYTES // megabytes
            ),
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": megabytes,
        }
        return Response(200, orjson.dumps(parameters))

    def prometheus_metrics(self) -> Response:
        """Return the metrics in Prometheus' format."""
        return Response(200, self.metrics.text().encode(), CONTENT_TYPE)


PAGES: dict[bytes, Callable[[Application], Response]] = {
    b"/ping": Application.ping,
    b"/execution-parameters": Application.execution_parameters,
    b"/metrics": Application.prometheus_metrics,
}


def method_not_allowed(allowed: str) -> Response:
    """Refuse a request method."""
    return refusal(405, f"method not allowed; use {allowed}", Allow=allowed)
