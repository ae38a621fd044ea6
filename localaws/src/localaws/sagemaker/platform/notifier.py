"""Wake threads that wait for an event."""

import threading


class Notifier:
    """Wakes all waiting threads after a change; each thread checks for itself what has changed.

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

        Read `count` before checking the condition that you wait for: then no notification is missed.
        """
        with self._condition:
            self._condition.wait_for(lambda: self.count != seen, seconds)
