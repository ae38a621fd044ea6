"""Read the lines of a text file with a length limit."""

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from processing.ingestion.rows import Defect, Lines, excerpt

LINE_BYTES = 8 << 20
CHUNK_BYTES = 1 << 16
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
INNER_END = re.compile(r"(?<=[\r\n])(?=[^\r\n])")
MIXED_ENDS = "the file has line ends of two kinds, CR and LF; save it with those of one kind"


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


def split_ends(line: str) -> list[str]:
    """Return the lines in a line: those that end in another way than the file's lines."""
    return INNER_END.split(line)


def mixed_ends(number: int, parts: Sequence[str], counts: Lines) -> Iterator[Defect]:
    """Yield the defects of the lines that were read as one, the first of which has this number."""
    counts.read = number + len(parts) - 1
    for at, part in enumerate(parts, number):
        if part.strip():
            yield Defect(at, None, MIXED_ENDS, excerpt(part.strip()))
        else:
            counts.other += 1
