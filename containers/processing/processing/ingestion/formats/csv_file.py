"""Read a CSV file: a header, then one row per record; quoted cells may contain line breaks."""

import csv
from collections.abc import Iterator

from processing.errors import FileError
from processing.ingestion.contract import Contract
from processing.ingestion.rows import ESCAPED_BYTES, Defect, Record, excerpt

ROW_BYTES = 8 << 20
UNCLOSED = "a quote that is not closed?"


class CsvLines:
    """Lines for csv.reader, with undecodable bytes escaped and a limit of ROW_BYTES per row."""

    def __init__(self, lines: Iterator[tuple[int, bytes]]) -> None:
        self.lines = lines
        self.start = self.bytes = 0  # the row's first line, and its size so far
        self.ended = False

    def begin_row(self) -> None:
        """Mark the start of a row."""
        self.bytes = 0

    def __iter__(self) -> "CsvLines":
        return self

    def __next__(self) -> str:
        line = next(self.lines, None)
        if line is None:
            self.ended = True
            raise StopIteration
        number, content = line
        if not self.bytes:
            self.start = number
        self.bytes += len(content)
        if self.bytes > ROW_BYTES:
            raise FileError(f"line {self.start}: a row of more than {ROW_BYTES:,} bytes ({UNCLOSED})")
        return content.decode("utf-8", "surrogateescape")


def read_csv(lines: Iterator[tuple[int, bytes]], contract: Contract) -> Iterator[Record | Defect]:
    """Yield each row by column; a row that is not CSV or has other columns than the header is a defect.

    Raises:
        FileError: The header lacks a column or is not CSV, or a quote is not closed.
    """
    csv.field_size_limit(ROW_BYTES)
    source = CsvLines(lines)
    reader = csv.reader(source, strict=True)
    header: list[str] = []
    while True:
        source.begin_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if source.ended:
                raise FileError(f"line {source.start}: not CSV: {error} ({UNCLOSED})") from error
            if not header:
                raise FileError(f"line {source.start}: the header is not CSV: {error}") from error
            yield Defect(source.start, None, f"not CSV: {error}", "")
            continue
        if cells is None:
            return
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            continue
        if not header:
            header = check_header(cells, contract)
        elif len(cells) != len(header):
            reason = f"{len(cells)} columns, but the header has {len(header)}"
            yield Defect(source.start, None, reason, excerpt(",".join(cells)))
        else:
            yield Record(source.start, dict(zip(header, cells, strict=True)))


def check_header(cells: list[str], contract: Contract) -> list[str]:
    """Return the column names, after validating them."""
    names = [cell.strip() for cell in cells]
    joined = ",".join(names)
    for character in joined:
        if ord(character) in ESCAPED_BYTES:
            raise FileError(f"not UTF-8 text: byte 0x{ord(character) - 0xDC00:02x} in the header")
    if "\0" in joined:
        raise FileError("not text: NUL byte in the header")
    check_columns(names, contract)
    return names


def check_columns(names: list[str], contract: Contract) -> None:
    """Refuse columns if a required one is missing or one of the contract's is repeated."""
    twice = any(names.count(name) > 1 for name in contract.fields)
    if twice or not set(contract.required) <= set(names):
        optional = [name for name in contract.fields if name not in contract.required]
        needed = ",".join(contract.required) + (f"[,{','.join(optional)}]" if optional else "")
        raise FileError(f"the columns are {excerpt(','.join(names))}; {needed} are needed, each once")
