"""Detect the format of a raw file by its content, whatever its name, and read its rows."""

import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile

from processing.errors import FileError
from processing.ingestion.contract import Contract
from processing.ingestion.formats.aclimdb import is_tar, read_archive
from processing.ingestion.formats.compression import is_compressed, open_decompressed
from processing.ingestion.formats.csv_file import read_csv
from processing.ingestion.formats.json_lines import read_json_lines
from processing.ingestion.formats.lines import read_lines
from processing.ingestion.formats.parquet import read_parquet
from processing.ingestion.rows import Defect, Record

HEAD_BYTES = 512
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


def read_rows(path: Path, contract: Contract) -> Iterator[Record | Defect]:
    """Yield the rows of a file, and the defects of rows that cannot be read.

    Raises:
        FileError: The file cannot be read to its end, or has no supported format.
    """
    with open_decompressed(path, contract.max_bytes) as stream:
        head = stream.read(HEAD_BYTES)
    for mark, reason in REFUSED.items():
        if head.startswith(mark):
            raise FileError(reason)
    with open_decompressed(path, contract.max_bytes) as stream:
        if is_tar(head):
            yield from read_archive(stream, contract)
        elif not head.startswith(PARQUET_MARK):
            yield from read_text(read_lines(stream), contract)
        elif not is_compressed(path):
            yield from read_parquet(path, contract)
        else:
            with NamedTemporaryFile() as copy:
                shutil.copyfileobj(stream, copy)
                copy.flush()
                yield from read_parquet(Path(copy.name), contract)


def read_text(lines: Iterator[tuple[int, bytes]], contract: Contract) -> Iterator[Record | Defect]:
    """Yield the rows of a text file; its first character decides the format."""
    first = next((numbered for numbered in lines if numbered[1].strip()), None)
    if first is None:
        raise FileError("empty file")
    rest = chain([first], lines)
    match first[1].lstrip()[:1]:
        case b"{":
            yield from read_json_lines(rest, contract)
        case b"[":
            raise FileError("a JSON array; write JSON Lines, one object per line")
        case _:
            yield from read_csv(rest, contract)
