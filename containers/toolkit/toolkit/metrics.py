"""Collect the server's metrics, summed over its workers, in Prometheus' text format (0.0.4).

prometheus-client was measured and refused: see docs/decisions/0010. Each worker writes to its own row of
shared memory, so that no worker waits for another.
"""

from bisect import bisect_left
from collections.abc import Iterator
from mmap import mmap

STATUSES = (200, 400, 405, 406, 408, 413, 415, 431, 500, 503)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUESTS = {status: place for place, status in enumerate(STATUSES)}
BUCKETS = len(STATUSES)
REQUEST_TIME, ROWS, CALLS, CALL_TIME, IN_WORK = range(BUCKETS + len(SECONDS) + 1, BUCKETS + len(SECONDS) + 6)
WIDTH = IN_WORK + 1
NUMBER_BYTES = 8


class Metrics:
    """The counters of one worker, and their sums over all workers."""

    def __init__(self, workers: int = 1) -> None:
        self._all = memoryview(mmap(-1, workers * WIDTH * NUMBER_BYTES)).cast("d")
        self._own = self._all[:WIDTH]

    def use_slot(self, worker: int) -> None:
        """Use the counters of this worker; a restarted worker continues those of its predecessor."""
        self._own = self._all[worker * WIDTH : (worker + 1) * WIDTH]
        self._own[IN_WORK] = 0

    def record_response(self, status: int, seconds: float, rows: int) -> None:
        """Record the response of a request to /invocations."""
        own = self._own
        own[REQUESTS.get(status, REQUESTS[500])] += 1
        own[BUCKETS + bisect_left(SECONDS, seconds)] += 1
        own[REQUEST_TIME] += seconds
        own[ROWS] += rows

    def record_model_call(self, seconds: float) -> None:
        """Record a call of the model."""
        self._own[CALLS] += 1
        self._own[CALL_TIME] += seconds

    def set_in_work(self, requests: int) -> None:
        """Set the number of requests in work or waiting."""
        self._own[IN_WORK] = requests

    def text(self) -> str:
        """Return all metrics in Prometheus' text format."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        sums = [sum(self._all[place::WIDTH]) for place in range(WIDTH)]
        yield from _head("requests_total", "counter", "Requests to /invocations by status.")
        for status, place in REQUESTS.items():
            yield f'serve_requests_total{{status="{status}"}} {sums[place]:.0f}'
        yield from _head("request_seconds", "histogram", "From a request's first byte to its answer.")
        below = 0.0
        for limit, count in zip((*SECONDS, "+Inf"), sums[BUCKETS:], strict=False):
            below += count
            yield f'serve_request_seconds_bucket{{le="{limit}"}} {below:.0f}'
        yield f"serve_request_seconds_sum {sums[REQUEST_TIME]:.6f}"
        yield f"serve_request_seconds_count {below:.0f}"
        for name, kind, place, help_text in (
            ("rows_total", "counter", ROWS, "Texts classified."),
            ("model_calls_total", "counter", CALLS, "Calls of the model; rows by calls is the mean batch."),
            ("model_seconds_total", "counter", CALL_TIME, "Time in the model."),
            ("requests_in_work", "gauge", IN_WORK, "Requests in work and waiting."),
        ):
            yield from _head(name, kind, help_text)
            yield f"serve_{name} {sums[place]:.6g}"


def _head(name: str, kind: str, help_text: str) -> tuple[str, str]:
    return f"# HELP serve_{name} {help_text}", f"# TYPE serve_{name} {kind}"
