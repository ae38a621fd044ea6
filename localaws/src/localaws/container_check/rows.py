"""Requests of many rows, and answers that are the same but for the last digits."""

import json
import math
from typing import Any

from localaws.container_check.bench import Bench
from localaws.container_check.errors import Broken, Unchecked
from localaws.container_check.limits import MB
from localaws.container_check.server import Server

# A model answers a row alone and among others with sums in another order.
TOLERANCE = 1e-3
MEASURED_ROWS = 64
MEASUREMENTS = 3  # of which the fastest counts: the machine may be busy


def line_type(bench: Bench) -> str:
    """The content type whose requests hold a row a line.

    Raises:
        Unchecked: the sample has none.
    """
    if bench.sample.line_type is None:
        raise Unchecked("the sample has neither request.jsonl nor request.csv")
    return bench.sample.line_type


def body_of(rows: list[bytes], count: int) -> bytes:
    """A body of this many rows, the same ones over and over, without a newline at its end."""
    times, more = divmod(count, len(rows))
    return b"\n".join(rows * times + rows[:more])


def count_in(rows: list[bytes], size: int) -> int:
    """How many rows, over and over, fit into a body of `size` bytes."""
    return max(1, size * len(rows) // sum(len(row) + 1 for row in rows))


def body_for(bench: Bench, server: Server, seconds: float) -> bytes:
    """A body that the container works on for about so long; at most a batch transform's payload."""
    rows = bench.sample.rows()
    measured, content_type = body_of(rows, MEASURED_ROWS), line_type(bench)
    fastest = min(server.invoke(measured, content_type).seconds for _ in range(MEASUREMENTS))
    count = int(MEASURED_ROWS * seconds / fastest)
    return body_of(rows, min(count, count_in(rows, bench.limits.payload_mb * MB)))


def lines_of(body: bytes, count: int) -> list[bytes]:
    """The lines of an answer.

    Raises:
        Broken: they are not this many.
    """
    lines = body.splitlines()
    if len(lines) != count:
        raise Broken(f"{count:,} rows were answered with {len(lines):,} lines")
    return lines


def alone(bench: Bench, server: Server) -> list[bytes]:
    """What each of the sample's rows is answered with when it is asked alone."""
    content_type = line_type(bench)

    def ask(row: bytes) -> bytes:
        return lines_of(server.invoke(row, content_type).body, 1)[0]

    return bench.once("alone", lambda: [ask(row) for row in bench.sample.rows()])


def same(one: bytes, other: bytes) -> bool:
    """Whether two answers say the same, their numbers but for the last digits."""
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
