"""Opens plain, gzip and Zstandard files as bytes, told apart by their first bytes."""

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
ZSTD_WINDOW_BYTES = 128 << 20  # what `zstd --long` writes; larger windows need more memory than that
# Four bytes of Zstandard can stand for 128 KiB, and one call returns all that its input stands for.
ZSTD_INPUT_BYTES = 4096
BUFFER_BYTES = 1 << 17


def is_compressed(path: Path) -> bool:
    """Whether a file's first bytes are gzip's or Zstandard's."""
    with path.open("rb") as raw:
        return raw.read(4).startswith((GZIP_MAGIC, ZSTD_MAGIC))


@contextmanager
def open_decompressed(path: Path, max_bytes: int) -> "Iterator[io.BufferedReader[BoundedReader]]":
    """Open a file for reading its decompressed bytes.

    Raises:
        FileError: The compressed data is damaged or ends too early, or there are more than max_bytes.
    """
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        data: io.BufferedIOBase = raw
        if magic.startswith(GZIP_MAGIC):
            data = gzip.GzipFile(fileobj=raw)
        elif magic == ZSTD_MAGIC:
            data = io.BufferedReader(ZstandardReader(raw), BUFFER_BYTES)
        try:
            with io.BufferedReader(BoundedReader(data, max_bytes), BUFFER_BYTES) as stream:
                yield stream
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileError(f"damaged gzip data: {error}") from error
        except zstandard.ZstdError as error:
            raise FileError(f"damaged zstd data: {error}") from error


class BoundedReader(io.RawIOBase):
    """Bytes up to a bound."""

    def __init__(self, data: io.BufferedIOBase, max_bytes: int) -> None:
        self.data, self.max_bytes = data, max_bytes
        self.bytes = 0

    def readable(self) -> bool:
        """Readable, as BufferedReader asks."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; 0 at the end."""
        # One read at a time: what comes before damaged data is handed out before the error.
        content = self.data.read1(len(buffer))
        self.bytes += len(content)
        if self.bytes > self.max_bytes:
            raise FileError(f"more than {self.max_bytes:,} bytes; split the file")
        buffer[: len(content)] = content
        return len(content)


class ZstandardReader(io.RawIOBase):
    """Frames after one another; unlike zstandard's own reader, one cut short is an error."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.frame: zstandard.ZstdDecompressionObj | None = None
        self.compressed = b""
        self.data = memoryview(b"")

    def readable(self) -> bool:
        """Readable, as BufferedReader asks."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with decompressed bytes; 0 at the end of the last frame."""
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
