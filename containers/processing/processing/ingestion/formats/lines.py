"""Read the lines of a text file with a length limit."""

from collections.abc import Iterator
from typing import BinaryIO

LINE_BYTES = 8 << 20
CHUNK_BYTES = 1 << 16
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


def ends_with_returns(head: bytes) -> bool:
    """Return whether a file's first bytes have carriage returns for line ends, as on old Macs."""
    return b"\r" in head.removesuffix(b"\r") and b"\n" not in head


def read_return_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each line of a file whose lines end with CR."""
    number, rest = 0, b""
    while chunk := stream.read(CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\r")
        for line in lines:
            number += 1
            yield number, (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line) + b"\n"
        rest = rest[: LINE_BYTES + 1]
    if rest:
        number += 1
        yield number, rest
