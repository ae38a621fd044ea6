"""Reads a text file's lines within bounds."""

from collections.abc import Iterator
from typing import BinaryIO

LINE_BYTES = 8 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield each line's number and its bytes with their end.

    A line longer than LINE_BYTES is cut off after one byte more than that: its length tells.
    """
    number = 0
    while line := stream.readline(LINE_BYTES + 1):
        number += 1
        part = line
        while len(part) > LINE_BYTES and not part.endswith(b"\n"):
            part = stream.readline(LINE_BYTES + 1)
        yield number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
