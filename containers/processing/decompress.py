"""Opens plain, gzip and Zstandard files as bytes, told apart by their first bytes."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard
from errors import FileError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_WINDOW_BYTES = 128 << 20  # what `zstd --long` writes; larger windows need more memory than that
# Four bytes of Zstandard can stand for 128 KiB, and one call returns all that its input stands for.
ZSTD_INPUT_BYTES = 4096


@contextmanager
def open_decompressed(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading its decompressed bytes.

    Raises:
        FileError: The compressed data is damaged or ends too early.
    """
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        try:
            if magic.startswith(GZIP_MAGIC):
                with gzip.open(raw) as stream:
                    yield cast(BinaryIO, stream)
            elif magic == ZSTD_MAGIC:
                with io.BufferedReader(ZstandardReader(raw), 1 << 17) as stream:
                    yield stream
            else:
                yield raw
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileError(f"damaged gzip data: {error}") from error
        except zstandard.ZstdError as error:
            raise FileError(f"damaged zstd data: {error}") from error


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
