"""Calls in parallel threads."""

import threading
import time
from collections.abc import Callable, Iterable


def run_parallel(calls: Iterable[Callable[[], object]], seconds: float | None = None) -> None:
    """Run each call in a thread and wait for all of them, for at most `seconds` in total."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    deadline = None if seconds is None else time.monotonic() + seconds
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
