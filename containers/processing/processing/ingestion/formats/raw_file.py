"""Detect the format of a raw file by its content, whatever its name, and read its rows."""

import shutil
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from tempfile import NamedTemporaryFile

from processing.errors import FileError
from processing.ingestion.contract import Contract
from processing.ingestion.formats.aclimdb import is_tar, read_archive
from processing.ingestion.formats.compression import is_compressed, is_skippable, open_decompressed
from processing.ingestion.formats.csv_file import read_csv
from processing.ingestion.formats.exports import array_reason
from processing.ingestion.formats.fasttext import PREFIX, read_fasttext
from processing.ingestion.formats.json_lines import read_json_lines
from processing.ingestion.formats.lines import ends_with_returns, read_lines, read_return_lines
from processing.ingestion.formats.parquet import read_parquet
from processing.ingestion.rows import Defect, Lines, Record

HEAD_BYTES = 512
LINE_ENDS_BYTES = 1 << 16  # examined if no line feed is in the head
ARRAY_LINES = 100  # enough to see which program wrote a JSON array
PARQUET_MARK = b"PAR1"
REFUSED = {
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"PK\x03\x04": "a zip archive or an Office document; upload what is in it, as CSV for example",
    b"BZh": "bzip2 data; use gzip or Zstandard",
    b"\xfd7zXZ": "xz data; use gzip or Zstandard",
    b"\x1f\x8b": "compressed twice",
    b"\x28\xb5\x2f\xfd": "compressed twice",
    b"%PDF": "a PDF document; write its texts as CSV or JSON Lines",
}


def read_rows(path: Path, contract: Contract, counts: Lines | None = None) -> Iterator[Record | Defect]:
    """Yield the rows of a file, and the defects of rows that cannot be read.

    Args:
        counts: Counts the file's physical lines.

    Raises:
        FileError: The file cannot be read to its end, or has no supported format.
    """
    counts = counts or Lines()
    with open_decompressed(path, contract.max_bytes) as stream:
        head = stream.read(HEAD_BYTES)
        returns = ends_with_returns(head) and ends_with_returns(head + stream.read(LINE_ENDS_BYTES))
    if is_skippable(head):
        raise FileError("compressed twice")
    for mark, reason in REFUSED.items():
        if head.startswith(mark):
            raise FileError(reason)
    with open_decompressed(path, contract.max_bytes) as stream:
        if is_tar(head):
            yield from read_archive(stream, contract)
        elif not head.startswith(PARQUET_MARK):
            lines = read_return_lines(stream) if returns else read_lines(stream)
            yield from read_text(lines, contract, counts)
        elif not is_compressed(path):
            yield from read_parquet(path, contract)
        else:
            with NamedTemporaryFile() as copy:
                shutil.copyfileobj(stream, copy)
                copy.flush()
                yield from read_parquet(Path(copy.name), contract)


def read_text(
    lines: Iterator[tuple[int, bytes]], contract: Contract, counts: Lines
) -> Iterator[Record | Defect]:
    """Yield the rows of a text file; its first characters decide the format."""
    first = next((numbered for numbered in lines if numbered[1].strip()), None)
    if first is None:
        raise FileError("empty file")
    counts.read = counts.other = first[0] - 1
    rest, start = chain([first], lines), first[1].lstrip()
    if start.startswith(b"{"):
        yield from read_json_lines(rest, contract, counts)
    elif start.startswith(b"["):
        raise FileError(array_reason(start + b"".join(line for _, line in islice(lines, ARRAY_LINES))))
    elif start.startswith(PREFIX):
        yield from read_fasttext(rest, counts)
    else:
        yield from read_csv(rest, contract, counts)
