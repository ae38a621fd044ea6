import asyncio
from asyncio import Future
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.batching import Batcher
from toolkit.classifier import Batching

LONG = 10_000.0  # milliseconds


class Slow:
    """A model whose calls end when the test says so; a text's probability is its length."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], Future[NDArray[Any]]]] = []

    def predict(self, texts: Sequence[str]) -> "Future[NDArray[Any]]":
        future: Future[NDArray[Any]] = asyncio.get_running_loop().create_future()
        self.calls.append((list(texts), future))
        return future

    async def end(self, error: Exception | None = None) -> None:
        texts, future = self.calls[-1]
        if error:
            future.set_exception(error)
        else:
            future.set_result(np.array([[len(text)] for text in texts]))
        await asyncio.sleep(0)

    def texts(self) -> list[list[str]]:
        return [texts for texts, _ in self.calls]


def test_a_call_begins_when_there_is_enough_for_it() -> None:
    async def run() -> None:
        model = Slow()
        batcher = Batcher(Batching(3, LONG), model.predict)
        first = batcher.add(["a", "bb"])
        assert model.texts() == []
        second = batcher.add(["ccc"])
        assert model.texts() == [["a", "bb", "ccc"]]
        await model.end()
        assert (await first).tolist() == [[1], [2]]
        assert (await second).tolist() == [[3]]

    asyncio.run(run())


def test_a_call_begins_when_the_first_has_waited_long_enough() -> None:
    async def run() -> None:
        model = Slow()
        batcher = Batcher(Batching(100, 20), model.predict)
        batcher.add(["a"])
        batcher.add(["b"])
        await asyncio.sleep(0.1)
        assert model.texts() == [["a", "b"]]

    asyncio.run(run())


def test_what_comes_during_a_call_gathers_for_the_next() -> None:
    async def run() -> None:
        model = Slow()
        batcher = Batcher(Batching(2, LONG), model.predict)
        futures = [batcher.add([text]) for text in ("a", "bb", "ccc", "dddd", "eeeee")]
        assert model.texts() == [["a", "bb"]]
        await model.end()
        assert model.texts()[1:] == [["ccc", "dddd"]]
        await model.end()
        assert [future.done() for future in futures] == [True] * 4 + [False]

    asyncio.run(run())


def test_a_request_that_is_larger_than_a_call_goes_alone() -> None:
    async def run() -> None:
        model = Slow()
        batcher = Batcher(Batching(2, LONG), model.predict)
        batcher.add(["a"])
        batcher.add(["b", "c", "d"])
        assert model.texts() == [["a"]]
        await model.end()
        assert model.texts() == [["a"], ["b", "c", "d"]]

    asyncio.run(run())


def test_a_client_that_is_gone_is_left_out() -> None:
    async def run() -> None:
        model = Slow()
        batcher = Batcher(Batching(2, LONG), model.predict)
        batcher.add(["a", "b"])
        gone, kept = batcher.add(["c"]), batcher.add(["d", "ee"])
        gone.cancel()
        await model.end()
        assert model.texts()[1:] == [["d", "ee"]]
        await model.end()
        assert (await kept).tolist() == [[1], [2]]

    asyncio.run(run())


def test_a_client_that_is_gone_does_not_count_as_text_to_call_for() -> None:
    async def run() -> None:
        model = Slow()
        batcher = Batcher(Batching(2, LONG), model.predict)
        batcher.add(["a"]).cancel()
        await asyncio.sleep(0)
        assert (batcher.texts, batcher.pending) == (0, {})
        batcher.add(["b"])
        assert model.texts() == []
        batcher.add(["c"])
        assert model.texts() == [["b", "c"]]

    asyncio.run(run())


def test_those_behind_clients_that_are_gone_are_not_forgotten() -> None:
    async def run() -> None:
        model = Slow()
        batcher = Batcher(Batching(2, 20), model.predict)
        batcher.add(["a", "b"])
        for gone in (batcher.add(["c"]), batcher.add(["d"])):
            gone.cancel()
        batcher.add(["e"])
        await model.end()
        await asyncio.sleep(0.1)
        assert model.texts()[1:] == [["e"]]

    asyncio.run(run())


def test_an_error_reaches_each_request_of_its_batch_and_no_other() -> None:
    async def run() -> None:
        model = Slow()
        batcher = Batcher(Batching(2, LONG), model.predict)
        bad = [batcher.add([text]) for text in ("a", "b")]
        good = batcher.add(["c", "d"])
        await model.end(ZeroDivisionError("by nothing"))
        for future in bad:
            with pytest.raises(ZeroDivisionError):
                await future
        await model.end()
        assert (await good).tolist() == [[1], [1]]

    asyncio.run(run())
