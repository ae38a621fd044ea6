"""Reads text files line by line within bounds."""

from collections.abc import Iterator
from pathlib import Path

from decompress import open_decompressed
from errors import FileError

LINE_BYTES = 8 << 20
FILE_BYTES = 8 << 30  # decompressed; a bomb stops here
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: Path) -> Iterator[str]:
    """Yield a file's lines with their ends.

    Raises:
        FileError: It is not UTF-8 text, damaged, or over a bound.
    """
    with open_decompressed(path) as stream:
        offset = 0
        while line := stream.readline(LINE_BYTES + 1):
            if len(line) > LINE_BYTES:
                raise FileError(f"a line of more than {LINE_BYTES:,} bytes at offset {offset}")
            yield decode(line, offset)
            offset += len(line)
            if offset > FILE_BYTES:
                raise FileError(f"more than {FILE_BYTES:,} bytes; split the file")


def decode(line: bytes, offset: int) -> str:
    """Decode one line, which lies at this offset of its file."""
    if offset == 0 and line.startswith(UTF16_MARKS):
        raise FileError("UTF-16 text; save it as UTF-8")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        byte, place = line[error.start], offset + error.start
        raise FileError(f"not UTF-8 text: byte 0x{byte:02x} at offset {place}") from error
    if (nul := line.find(0)) >= 0:
        raise FileError(f"not text: NUL byte at offset {offset + nul}")
    return text.removeprefix("\ufeff") if offset == 0 else text
