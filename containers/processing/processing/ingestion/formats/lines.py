"""Read the lines of a text file with a length limit."""

from collections.abc import Iterator
from typing import BinaryIO

LINE_BYTES = 8 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each line, including its line break.

    A line longer than LINE_BYTES is cut to one byte more than that, which shows the excess.
    """
    number = 0
    while line := stream.readline(LINE_BYTES + 1):
        number += 1
        part = line
        while len(part) > LINE_BYTES and not part.endswith(b"\n"):
            part = stream.readline(LINE_BYTES + 1)
        yield number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
