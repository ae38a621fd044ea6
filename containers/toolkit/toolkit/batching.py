"""Dynamic batching: put concurrent requests into one call of the model."""

import asyncio
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from toolkit.classifier import Batching

Predict = Callable[[Sequence[str]], "Future[NDArray[Any]]"]


@dataclass(slots=True)
class PendingRequest:
    """The texts of a request and the future of their probabilities."""

    texts: list[str]
    queued_at: float
    future: "Future[NDArray[Any]]"


class Batcher:
    """Call the model with batched requests, one call at a time.

    A call starts when enough texts are queued, or when the oldest request has waited long enough. During a
    call, requests queue for the next one.
    """

    def __init__(self, batching: Batching, predict: Predict) -> None:
        self.limits = batching
        self.predict = predict
        self.pending: dict[Future[NDArray[Any]], PendingRequest] = {}
        self.texts = 0
        self.call_in_progress = False
        self.timer: asyncio.TimerHandle | None = None

    def add(self, texts: list[str]) -> "Future[NDArray[Any]]":
        """Queue the texts of a request; the future gives probabilities of shape (texts, labels)."""
        loop = asyncio.get_running_loop()
        request = PendingRequest(texts, loop.time(), loop.create_future())
        self.pending[request.future] = request
        self.texts += len(texts)
        request.future.add_done_callback(self.remove)
        self.schedule()
        return request.future

    def remove(self, future: "Future[NDArray[Any]]") -> None:
        """Remove a request whose call starts or whose client has disconnected."""
        if request := self.pending.pop(future, None):
            self.texts -= len(request.texts)

    def oldest(self) -> PendingRequest:
        """Return the request that has waited longest."""
        return next(iter(self.pending.values()))

    def schedule(self) -> None:
        """Call the model now, or schedule the call for the oldest request's deadline."""
        if self.timer:
            self.timer.cancel()
            self.timer = None
        if self.call_in_progress or not self.pending:
            return
        loop = asyncio.get_running_loop()
        due = self.oldest().queued_at + self.limits.milliseconds / 1000
        if self.texts >= self.limits.texts or due <= loop.time():
            self.call()
        else:
            self.timer = loop.call_at(due, self.schedule)

    def call(self) -> None:
        """Call the model with the oldest requests that fit into one batch; skip cancelled ones."""
        batch: list[PendingRequest] = []
        size = 0
        while self.pending and (not batch or size + len(self.oldest().texts) <= self.limits.texts):
            request = self.oldest()
            self.remove(request.future)
            if not request.future.cancelled():
                batch.append(request)
                size += len(request.texts)
        if not batch:
            self.schedule()
            return
        self.call_in_progress = True
        answer = self.predict([text for request in batch for text in request.texts])
        answer.add_done_callback(lambda future: self.distribute(batch, future))

    def distribute(self, batch: list[PendingRequest], answer: "Future[NDArray[Any]]") -> None:
        """Give each request its part of the result."""
        self.call_in_progress = False
        start = 0
        for request in batch:
            end = start + len(request.texts)
            if request.future.cancelled():
                pass
            elif error := answer.exception():
                request.future.set_exception(error)
            else:
                request.future.set_result(answer.result()[start:end])
            start = end
        self.schedule()
