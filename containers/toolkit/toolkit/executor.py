"""Run long work in a thread, so that it does not delay other requests."""

import asyncio
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Executor:
    """Run tasks in order; a task that is cancelled before its turn never runs."""

    def __init__(self, name: str) -> None:
        self.thread = ThreadPoolExecutor(1, name)

    def submit(self, work: Callable[..., T], *arguments: Any) -> "Future[T]":
        """Return a future of the work's result."""
        # The thread's queue keeps a cancelled task until its turn. Emptied here, the task holds no request
        # body meanwhile.
        task = [partial(work, *arguments)]
        future = asyncio.get_running_loop().run_in_executor(self.thread, lambda: task.pop()())
        future.add_done_callback(lambda _: task.clear())
        return future
