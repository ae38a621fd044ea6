"""SageMaker's serving contract: /ping, /invocations, /execution-parameters; and /metrics."""

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
from toolkit.errors import DeviceError, RequestError
from toolkit.executor import Executor
from toolkit.formats import CHARSET, CSV, JSON, Inputs, answer_type, parse, render, request_type
from toolkit.messages import Request, Response, refusal
from toolkit.metrics import CONTENT_TYPE, Metrics
from toolkit.settings import MEGABYTE, Settings

INVOCATIONS = b"/invocations"
INLINE_SECONDS = 0.003  # work shorter than this is not worth a thread, and delays no ping
OVERHEAD_BYTES = 1000  # what any request costs, as if its body were so much longer
PACE_SMOOTHING = 0.9  # how much of the seconds_per_byte is of earlier requests
DEFAULT_PAYLOAD_MEGABYTES = 6  # of a batch transform's request; SageMaker's own default
TRANSFORMS_MEGABYTES = 100  # of all its requests at the same time; SageMaker's limit


class Application:
    """Answers with one model."""

    def __init__(self, classifier: Classifier, metrics: Metrics, settings: Settings) -> None:
        self.classifier = classifier
        self.metrics = metrics
        self.settings = settings
        self.ready = True
        self.device_lost = False  # what the model computes on
        self.seconds_per_byte = float("inf")  # seconds a byte
        self.executor = Executor("model")
        self.batcher: Batcher | None = None
        batching = getattr(classifier, "batching", None)
        if isinstance(batching, Batching):
            self.batcher = Batcher(batching, partial(self.executor.submit, self.predict))

    def respond(self, request: Request) -> "Response | Future[Response]":
        """Answer a request, at once or later."""
        path, method = request.path, request.method
        if path == INVOCATIONS:
            return self.invoke(request) if method == b"POST" else method_not_allowed("POST")
        if path not in PAGES:
            return refusal(404, f"there is no {path.decode('latin-1')}; POST /invocations")
        return PAGES[path](self) if method == b"GET" else method_not_allowed("GET")

    def invoke(self, request: Request) -> "Response | Future[Response]":
        """Classify, on the spot what is short, in a thread what is long."""
        try:
            content_type = request_type(request.header(b"content-type"))
            accept = answer_type(request.header(b"accept"), content_type)
        except RequestError as error:
            return refusal(error.status, str(error))
        if self.batcher:
            return asyncio.ensure_future(
                self.answer_in_batch(self.batcher, request.body, content_type, accept)
            )
        body = request.body
        if self.seconds_per_byte * (OVERHEAD_BYTES + len(body)) < INLINE_SECONDS:
            return self.answer(body, content_type, accept)
        return self.executor.submit(self.answer, body, content_type, accept)

    def answer(self, body: bytes, content_type: str, accept: str) -> Response:
        """All of the work for a request."""
        started = perf_counter()
        try:
            inputs = parse(body, content_type)
            response = self.render_response(inputs, self.predict(inputs.texts), accept)
        except Exception as error:
            return self.failure(error)
        seconds_per_byte = (perf_counter() - started) / (OVERHEAD_BYTES + len(body))
        self.seconds_per_byte = (
            seconds_per_byte
            if self.seconds_per_byte == float("inf")
            else self.seconds_per_byte * PACE_SMOOTHING + seconds_per_byte * (1 - PACE_SMOOTHING)
        )
        return response

    async def answer_in_batch(
        self, batcher: Batcher, body: bytes, content_type: str, accept: str
    ) -> Response:
        """Answer a request whose texts are classified together with those of others."""
        try:
            inputs = parse(body, content_type)
            probabilities = await batcher.add(inputs.texts)
            return await self.executor.submit(self.render_response, inputs, probabilities, accept)
        except Exception as error:
            return self.failure(error)

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Call the model."""
        started = perf_counter()
        probabilities = self.classifier.predict(texts)
        self.metrics.record_model_call(perf_counter() - started)
        expected = (len(texts), len(self.classifier.labels))
        if probabilities.shape != expected:
            raise TypeError(f"predict returned probabilities of shape {probabilities.shape}, not {expected}")
        return probabilities

    def render_response(self, inputs: Inputs, probabilities: NDArray[Any], accept: str) -> Response:
        """Write the answer."""
        if inputs.explain and accept == CSV:
            raise RequestError(400, f"CSV has no place for an explanation; accept {JSON}")
        explanations = self.explain_rows(inputs) if inputs.explain else {}
        body = render(inputs, self.classifier.labels, probabilities, explanations, accept)
        return Response(200, body, CHARSET[accept], len(inputs.texts))

    def explain_rows(self, inputs: Inputs) -> dict[int, Weights]:
        """Explain the rows that want it."""
        if not isinstance(self.classifier, Explainer):
            raise RequestError(400, "this model does not explain; leave 'explain' out")
        found = {}
        for place, top in inputs.explain.items():
            [found[place]] = self.classifier.explain([inputs.texts[place]], top)
        return found

    def failure(self, error: Exception) -> Response:
        """An error as an answer: the client's own in words, one of the code in the log."""
        if isinstance(error, RequestError):
            return refusal(error.status, str(error))
        traceback.print_exception(error)
        if isinstance(error, DeviceError) and not self.device_lost:
            self.device_lost = True
            os.kill(os.getpid(), signal.SIGTERM)  # whoever started this process starts another
        return refusal(500, f"the model failed with {type(error).__name__}; the log of the server tells more")

    def ping(self) -> Response:
        """Whether it answers."""
        return Response(200) if self.ready else refusal(503, "stopping")

    def execution_parameters(self) -> Response:
        """What a batch transform job should do where it was not told."""
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
        """What was done so far."""
        return Response(200, self.metrics.text().encode(), CONTENT_TYPE)


PAGES: dict[bytes, Callable[[Application], Response]] = {
    b"/ping": Application.ping,
    b"/execution-parameters": Application.execution_parameters,
    b"/metrics": Application.prometheus_metrics,
}


def method_not_allowed(allowed: str) -> Response:
    """Refuse a method."""
    return refusal(405, f"{allowed} it", Allow=allowed)
