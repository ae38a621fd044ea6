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
from toolkit.classifier import Batching, Classifier, Explains, Weights
from toolkit.errors import DeviceError, RequestError
from toolkit.executor import Executor
from toolkit.formats import CHARSET, CSV, JSON, Inputs, answer_type, parse, render, request_type
from toolkit.messages import Request, Response, refusal
from toolkit.metrics import TYPE, Meters
from toolkit.settings import MEGABYTE, Settings

INVOCATIONS = b"/invocations"
AT_ONCE_SECONDS = 0.003  # work shorter than this is not worth a thread, and delays no ping
FIXED_BYTES = 1000  # what any request costs, as if its body were so much longer
MEMORY = 0.9  # how much of the pace is of earlier requests
PAYLOAD_MEGABYTES = 6  # of a batch transform's request; SageMaker's own default
TRANSFORMS_MEGABYTES = 100  # of all its requests at the same time; SageMaker's limit


class Application:
    """Answers with one model."""

    def __init__(self, classifier: Classifier, meters: Meters, settings: Settings) -> None:
        self.classifier = classifier
        self.meters = meters
        self.settings = settings
        self.ready = True
        self.lost = False  # what the model computes on
        self.pace = float("inf")  # seconds a byte
        self.executor = Executor("model")
        self.batcher: Batcher | None = None
        batching = getattr(classifier, "batching", None)
        if isinstance(batching, Batching):
            self.batcher = Batcher(batching, partial(self.executor.submit, self.predict))

    def respond(self, request: Request) -> "Response | Future[Response]":
        """Answer a request, at once or later."""
        path, method = request.path, request.method
        if path == INVOCATIONS:
            return self.invoke(request) if method == b"POST" else wrong_method("POST")
        if path not in PAGES:
            return refusal(404, f"there is no {path.decode('latin-1')}; POST /invocations")
        return PAGES[path](self) if method == b"GET" else wrong_method("GET")

    def invoke(self, request: Request) -> "Response | Future[Response]":
        """Classify, on the spot what is short, in a thread what is long."""
        try:
            content_type = request_type(request.header(b"content-type"))
            accept = answer_type(request.header(b"accept"), content_type)
        except RequestError as error:
            return refusal(error.status, str(error))
        if self.batcher:
            return asyncio.ensure_future(self.gathered(self.batcher, request.body, content_type, accept))
        body = request.body
        if self.pace * (FIXED_BYTES + len(body)) < AT_ONCE_SECONDS:
            return self.answer(body, content_type, accept)
        return self.executor.submit(self.answer, body, content_type, accept)

    def answer(self, body: bytes, content_type: str, accept: str) -> Response:
        """All of the work for a request."""
        started = perf_counter()
        try:
            inputs = parse(body, content_type)
            response = self.rendered(inputs, self.predict(inputs.texts), accept)
        except Exception as error:
            return self.failure(error)
        pace = (perf_counter() - started) / (FIXED_BYTES + len(body))
        self.pace = pace if self.pace == float("inf") else self.pace * MEMORY + pace * (1 - MEMORY)
        return response

    async def gathered(self, batcher: Batcher, body: bytes, content_type: str, accept: str) -> Response:
        """Answer a request whose texts are classified together with those of others."""
        try:
            inputs = parse(body, content_type)
            probabilities = await batcher.add(inputs.texts)
            return await self.executor.submit(self.rendered, inputs, probabilities, accept)
        except Exception as error:
            return self.failure(error)

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Call the model."""
        started = perf_counter()
        probabilities = self.classifier.predict(texts)
        self.meters.called(perf_counter() - started)
        expected = (len(texts), len(self.classifier.labels))
        if probabilities.shape != expected:
            raise TypeError(f"predict returned probabilities of shape {probabilities.shape}, not {expected}")
        return probabilities

    def rendered(self, inputs: Inputs, probabilities: NDArray[Any], accept: str) -> Response:
        """Write the answer."""
        if inputs.explain and accept == CSV:
            raise RequestError(400, f"CSV has no place for an explanation; accept {JSON}")
        explanations = self.explained(inputs) if inputs.explain else {}
        body = render(inputs, self.classifier.labels, probabilities, explanations, accept)
        return Response(200, body, CHARSET[accept], len(inputs.texts))

    def explained(self, inputs: Inputs) -> dict[int, Weights]:
        """Explain the rows that want it."""
        if not isinstance(self.classifier, Explains):
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
        if isinstance(error, DeviceError) and not self.lost:
            self.lost = True
            os.kill(os.getpid(), signal.SIGTERM)  # whoever started this process starts another
        return refusal(500, f"the model failed with {type(error).__name__}; the log of the server tells more")

    def ping(self) -> Response:
        """Whether it answers."""
        return Response(200) if self.ready else refusal(503, "stopping")

    def execution_parameters(self) -> Response:
        """What a batch transform job should do where it was not told."""
        megabytes = min(PAYLOAD_MEGABYTES, max(1, self.settings.body_bytes // MEGABYTE))
        parameters = {
            "MaxConcurrentTransforms": min(
                self.settings.workers or 1, self.settings.held_bodies, TRANSFORMS_MEGABYTES // megabytes
            ),
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": megabytes,
        }
        return Response(200, orjson.dumps(parameters))

    def metrics(self) -> Response:
        """What was done so far."""
        return Response(200, self.meters.text().encode(), TYPE)


PAGES: dict[bytes, Callable[[Application], Response]] = {
    b"/ping": Application.ping,
    b"/execution-parameters": Application.execution_parameters,
    b"/metrics": Application.metrics,
}


def wrong_method(allowed: str) -> Response:
    """Refuse a method."""
    return refusal(405, f"{allowed} it", Allow=allowed)
