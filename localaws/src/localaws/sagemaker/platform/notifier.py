"""Wakes threads that wait for an event."""

import threading


class Notifier:
    """Wakes every waiting thread when something has changed; each thread looks for itself what it was.

    Attributes:
        count: the number of notifications so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._condition = threading.Condition()

    def notify(self) -> None:
        """Wake every waiting thread."""
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Wait until `count` differs from `seen`, for at most `seconds`.

        Read `count` before you look at what you wait for: a notification in between is then not missed.
        """
        with self._condition:
            self._condition.wait_for(lambda: self.count != seen, seconds)
