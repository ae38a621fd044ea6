"""Calls side by side, and what they wait for."""

import threading
import time
from collections.abc import Callable, Iterable


class Bell:
    """Wakes all that wait for something to happen; each looks for itself what it was."""

    def __init__(self) -> None:
        self.rung = 0
        self._condition = threading.Condition()

    def ring(self) -> None:
        """Something has happened."""
        with self._condition:
            self.rung += 1
            self._condition.notify_all()

    def wait(self, heard: int, seconds: float) -> None:
        """Wait until it has rung since `rung` was `heard`, `seconds` at most."""
        with self._condition:
            self._condition.wait_for(lambda: self.rung != heard, seconds)


def at_once(calls: Iterable[Callable[[], object]], seconds: float | None = None) -> None:
    """Make all calls, each in a thread of its own, and wait for them, `seconds` at most for all together."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    deadline = None if seconds is None else time.monotonic() + seconds
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
