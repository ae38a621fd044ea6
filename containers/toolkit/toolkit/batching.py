"""Requests that come at the same time, put together into one call of the model."""

import asyncio
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from toolkit.classifier import Batching

Predict = Callable[[Sequence[str]], "Future[NDArray[Any]]"]


@dataclass(slots=True)
class Waiting:
    """A request's texts, and who waits for their probabilities."""

    texts: list[str]
    since: float
    future: "Future[NDArray[Any]]"


class Batcher:
    """Calls the model, one call at a time, with what has gathered.

    A call begins when there is enough for it, or when the first of its requests has waited long enough; while
    one is in work, requests gather for the next.
    """

    def __init__(self, batching: Batching, predict: Predict) -> None:
        self.limits = batching
        self.predict = predict
        self.waiting: dict[Future[NDArray[Any]], Waiting] = {}
        self.texts = 0
        self.calling = False
        self.timer: asyncio.TimerHandle | None = None

    def add(self, texts: list[str]) -> "Future[NDArray[Any]]":
        """The probabilities of a request's texts, of shape (texts, labels), in some time."""
        loop = asyncio.get_running_loop()
        one = Waiting(texts, loop.time(), loop.create_future())
        self.waiting[one.future] = one
        self.texts += len(texts)
        one.future.add_done_callback(self.take)
        self.consider()
        return one.future

    def take(self, future: "Future[NDArray[Any]]") -> None:
        """It waits no more: its call begins, or its client is gone."""
        if one := self.waiting.pop(future, None):
            self.texts -= len(one.texts)

    def first(self) -> Waiting:
        """The one that has waited longest."""
        return next(iter(self.waiting.values()))

    def consider(self) -> None:
        """Call now, or at the time when the first has waited long enough."""
        if self.timer:
            self.timer.cancel()
            self.timer = None
        if self.calling or not self.waiting:
            return
        loop = asyncio.get_running_loop()
        due = self.first().since + self.limits.milliseconds / 1000
        if self.texts >= self.limits.texts or due <= loop.time():
            self.call()
        else:
            self.timer = loop.call_at(due, self.consider)

    def call(self) -> None:
        """Call with the first requests, as many as go together; those whose client is gone are left out."""
        batch: list[Waiting] = []
        size = 0
        while self.waiting and (not batch or size + len(self.first().texts) <= self.limits.texts):
            one = self.first()
            self.take(one.future)
            if not one.future.cancelled():
                batch.append(one)
                size += len(one.texts)
        if not batch:
            self.consider()
            return
        self.calling = True
        answer = self.predict([text for one in batch for text in one.texts])
        answer.add_done_callback(lambda future: self.answered(batch, future))

    def answered(self, batch: list[Waiting], answer: "Future[NDArray[Any]]") -> None:
        """Give each request its part."""
        self.calling = False
        start = 0
        for one in batch:
            end = start + len(one.texts)
            if one.future.cancelled():
                pass
            elif error := answer.exception():
                one.future.set_exception(error)
            else:
                one.future.set_result(answer.result()[start:end])
            start = end
        self.consider()
