import asyncio
import gc
import threading
import weakref

import pytest

from toolkit.executor import Executor


def test_work_is_done_in_turn_in_one_thread() -> None:
    async def run() -> None:
        executor = Executor("model")
        threads = await asyncio.gather(*(executor.submit(threading.get_ident) for _ in range(3)))
        assert len(set(threads)) == 1
        assert threads[0] != threading.get_ident()
        assert await executor.submit(divmod, 7, 4) == (1, 3)

    asyncio.run(run())


def test_an_error_reaches_its_caller_and_the_executor_goes_on() -> None:
    async def run() -> None:
        executor = Executor("model")
        bad, good = executor.submit(divmod, 1, 0), executor.submit(divmod, 1, 1)
        with pytest.raises(ZeroDivisionError):
            await bad
        assert await good == (1, 0)

    asyncio.run(run())


def test_work_that_nobody_waits_for_is_forgotten_before_its_turn() -> None:
    async def run() -> None:
        executor, begin = Executor("model"), threading.Event()
        done: list[object] = []
        body = {"large"}
        held = weakref.ref(body)
        first = executor.submit(begin.wait)
        gone, kept = executor.submit(done.append, body), executor.submit(done.append, "kept")
        del body
        for future in (gone, first):  # the first has begun, and goes on
            future.cancel()
        await asyncio.sleep(0.01)
        gc.collect()
        assert held() is None
        begin.set()
        await kept
        assert done == ["kept"]

    asyncio.run(run())
