"""Open plain, gzip and Zstandard files, recognized by their first bytes."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import zstandard

from processing.errors import FileError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # after a byte from 0x50 to 0x5f: a frame of no data, as pzstd writes first
SKIPPABLE_FIRST = tuple(bytes([first]) for first in range(0x50, 0x60))
ZSTD_WINDOW_BYTES = 128 << 20  # the window of `zstd --long`; larger ones need more memory
# Four bytes of Zstandard can expand to 128 KiB, and one call returns the whole expansion of its input.
ZSTD_INPUT_BYTES = 4096
BUFFER_BYTES = 1 << 17


def is_compressed(path: Path) -> bool:
    """Return whether a file is compressed with gzip or Zstandard."""
    with path.open("rb") as raw:
        magic = raw.read(4)
    return magic.startswith((GZIP_MAGIC, ZSTD_MAGIC)) or is_skippable(magic)


def is_skippable(head: bytes) -> bool:
    """Return whether Zstandard's skippable frame comes first."""
    return head[:1] in SKIPPABLE_FIRST and head[1:4] == SKIPPABLE_MAGIC


@contextmanager
def open_decompressed(path: Path, max_bytes: int) -> "Iterator[io.BufferedReader[BoundedReader]]":
    """Open a file to read its decompressed bytes.

    Raises:
        FileError: The compressed data is damaged or ends too early, or exceeds max_bytes.
    """
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        data: io.BufferedIOBase = raw
        if magic.startswith(GZIP_MAGIC):
            data = gzip.GzipFile(fileobj=raw)
        elif magic == ZSTD_MAGIC or is_skippable(magic):
            data = io.BufferedReader(ZstandardReader(raw), BUFFER_BYTES)
        try:
            with io.BufferedReader(BoundedReader(data, max_bytes), BUFFER_BYTES) as stream:
                yield stream
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileError(f"damaged gzip data: {error}") from error
        except zstandard.ZstdError as error:
            raise FileError(f"damaged zstd data: {error}") from error


class BoundedReader(io.RawIOBase):
    """A reader that raises an error beyond a size limit."""

    def __init__(self, data: io.BufferedIOBase, max_bytes: int) -> None:
        self.data, self.max_bytes = data, max_bytes
        self.bytes = 0

    def readable(self) -> bool:
        """Return True, as BufferedReader requires."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; return 0 at the end."""
        # One read at a time, so that data before a damaged part is returned before the error.
        content = self.data.read1(len(buffer))
        self.bytes += len(content)
        if self.bytes > self.max_bytes:
            raise FileError(f"more than {self.max_bytes:,} bytes; split the file")
        buffer[: len(content)] = content
        return len(content)


class ZstandardReader(io.RawIOBase):
    """A reader of consecutive Zstandard frames; unlike zstandard's own, it refuses a truncated frame."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.frame: zstandard.ZstdDecompressionObj | None = None
        self.compressed = b""
        self.data = memoryview(b"")

    def readable(self) -> bool:
        """Return True, as BufferedReader requires."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with decompressed bytes; return 0 at the end of the last frame."""
        while not self.data:
            compressed = self.compressed or self.raw.read(ZSTD_INPUT_BYTES)
            if not compressed:
                if self.frame is not None:
                    raise zstandard.ZstdError("the file ends too early")
                return 0
            self.decompress(compressed)
        size = min(len(buffer), len(self.data))
        buffer[:size], self.data = self.data[:size], self.data[size:]
        return size

    def decompress(self, compressed: bytes) -> None:
        """Feed the current frame, or start the next one."""
        if self.frame is None:
            self.frame = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
        self.data = memoryview(self.frame.decompress(compressed))
        self.compressed = b""
        if self.frame.eof:
            self.compressed, self.frame = self.frame.unused_data, None
