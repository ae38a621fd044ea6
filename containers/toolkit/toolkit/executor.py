"""A thread for work that would delay other requests, one task after the other."""

import asyncio
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Executor:
    """Does what it is given in turn; work whose future is cancelled before its turn is never done."""

    def __init__(self, name: str) -> None:
        self.thread = ThreadPoolExecutor(1, name)

    def submit(self, work: Callable[..., T], *arguments: Any) -> "Future[T]":
        """What the work returns or raises, in some time."""
        # The thread's queue keeps cancelled work until its turn; emptied, it does not keep a body with it.
        task = [partial(work, *arguments)]
        future = asyncio.get_running_loop().run_in_executor(self.thread, lambda: task.pop()())
        future.add_done_callback(lambda _: task.clear())
        return future
