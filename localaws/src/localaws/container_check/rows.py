"""Build requests with many rows and compare responses with a numeric tolerance."""

import json
import math
from typing import Any

from localaws.container_check.bench import Bench
from localaws.container_check.errors import Broken, Unchecked
from localaws.container_check.limits import MB
from localaws.container_check.server import Server

# Absolute: a model may sum in another order for a single row than for a batch.
TOLERANCE = 1e-3
MEASURED_ROWS = 64
MEASUREMENTS = 3  # the fastest is used, since the machine may be busy


def line_type(bench: Bench) -> str:
    """Return the content type of the sample's request that has one row per line.

    Raises:
        Unchecked: the sample has no such request.
    """
    if bench.sample.line_type is None:
        raise Unchecked("the sample has neither request.jsonl nor request.csv")
    return bench.sample.line_type


def body_of(rows: list[bytes], count: int) -> bytes:
    """Return a body of `count` rows that repeats the rows, without a newline at the end."""
    times, rest = divmod(count, len(rows))
    return b"\n".join(rows * times + rows[:rest])


def count_in(rows: list[bytes], size: int) -> int:
    """Return how many rows of repeated `rows` fit into a body of `size` bytes; at least 1."""
    return max(1, size * len(rows) // sum(len(row) + 1 for row in rows))


def body_for(bench: Bench, server: Server, seconds: float) -> bytes:
    """Return a body with about `seconds` of processing time, at most as large as a transform's payload."""
    rows = bench.sample.rows()
    measured, content_type = body_of(rows, MEASURED_ROWS), line_type(bench)
    fastest = min(server.invoke(measured, content_type).seconds for _ in range(MEASUREMENTS))
    count = int(MEASURED_ROWS * seconds / fastest)
    return body_of(rows, min(count, count_in(rows, bench.limits.payload_mb * MB)))


def lines_of(body: bytes, count: int) -> list[bytes]:
    """Split a response into lines.

    Raises:
        Broken: the number of lines is not `count`.
    """
    lines = body.splitlines()
    if len(lines) != count:
        raise Broken(f"the response to {count:,} rows has {len(lines):,} lines")
    return lines


def single_row_responses(bench: Bench, server: Server) -> list[bytes]:
    """Return the responses to the sample's rows, each sent in a request of its own."""
    content_type = line_type(bench)

    def invoke(row: bytes) -> bytes:
        return lines_of(server.invoke(row, content_type).body, 1)[0]

    return bench.cached("single_row_responses", lambda: [invoke(row) for row in bench.sample.rows()])


def equivalent(one: bytes, other: bytes) -> bool:
    """Return whether two responses are equal, with TOLERANCE for numbers."""
    return one == other or _close(_parsed(one), _parsed(other))


def _parsed(line: bytes) -> Any:
    text = line.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return [_number(cell) for cell in text.split(",")]


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, abs_tol=TOLERANCE)
    return bool(one == other)
