"""Read a CSV file: a header, then one row per record; quoted cells may contain line breaks.

Cells are separated by commas, semicolons, tabs or vertical bars, whichever gives the columns that the
contract needs. A row that is not standard CSV is read again with the habits of other programs: a blank before
a quoted cell, and a backslash before a quotation mark within it. Every physical line is in a row, a defect, a
repeated header, or blank.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from processing.errors import FileError
from processing.ingestion.contract import Contract
from processing.ingestion.formats.columns import find_columns
from processing.ingestion.formats.lines import mixed_ends, split_ends
from processing.ingestion.rows import ESCAPED_BYTES, Defect, Lines, Record, excerpt

ROW_BYTES = 8 << 20
ATTEMPT_BYTES = 2 << 20  # per attempt to read a row in another way; a text is at most a fraction of it
MAX_FAILED_ATTEMPTS = 1000  # then the file has another fault
MAX_KNOWN_LABELS = 1000
NAME_PADDING = 16  # characters, of blanks and marks around a column's name
ROWS_PER_LABEL = 10  # on average, once a file is taken to show all its labels
LABEL_CHARACTERS = 64  # more are hardly a label, when a line is examined
LABEL_WORDS = 3  # more are hardly a label either
UNCLOSED = "a quote that is not closed?"
UNEXPECTED_END = "unexpected end of data"
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
EXCEL_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)
BYTE_ORDER_MARK = "\ufeff"
ESCAPED_QUOTE = '\\"'
BESIDE_LABEL = ' "\r\n'
BACKSLASH = re.compile(r'\\(["\\]?)')


class CsvLines:
    """Lines for csv.reader, with undecodable bytes escaped and a limit per row."""

    def __init__(self, lines: Iterator[tuple[int, bytes]]) -> None:
        self.lines = lines
        self.pending: deque[tuple[int, str]] = deque()
        self.current: list[tuple[int, str]] = []  # the lines of the row so far
        self.bytes = 0
        self.limit = ROW_BYTES
        self.more = 0  # lines than were read, because several were read as one

    def begin_row(self) -> None:
        """Mark the start of a row."""
        self.current, self.bytes = [], 0

    def go_back(self, count: int = 0) -> None:
        """Read the lines of the row again, except the first `count`."""
        self.pending.extendleft(reversed(self.current[count:]))
        del self.current[count:]
        self.bytes = 0

    def count_more(self, count: int) -> None:
        """Give the lines to come higher numbers."""
        self.more += count
        self.pending = deque((number + count, text) for number, text in self.pending)

    @property
    def first(self) -> int:
        """Return the number of the row's first line."""
        return self.current[0][0]

    @property
    def last(self) -> int:
        """Return the number of the row's last line."""
        return self.current[-1][0]

    def __iter__(self) -> "CsvLines":
        return self

    def __next__(self) -> str:
        if self.pending:
            number, text = self.pending.popleft()
            self.bytes += len(text)
        else:
            read, content = next(self.lines)
            number = read + self.more
            self.bytes += len(content)
            text = content.decode("utf-8", "surrogateescape")
        if not self.current and text[:1] == BYTE_ORDER_MARK:
            text = text[1:]  # of a file that was joined to the one before
        self.current.append((number, text))
        if self.bytes > self.limit:
            raise TooLongError
        return text


class TooLongError(Exception):
    """A row has more bytes than the limit."""


class Cells(NamedTuple):
    """The cells of a row, or why it is not CSV."""

    values: list[str]
    error: str | None = None


class CsvReader:
    """The rows of a CSV file."""

    def __init__(self, lines: Iterator[tuple[int, bytes]], contract: Contract, counts: Lines) -> None:
        csv.field_size_limit(ROW_BYTES)
        self.source, self.contract, self.counts = CsvLines(lines), contract, counts
        self.separator = ","
        self.names: list[str] = []
        self.columns: dict[str, int] = {}
        self.known_names = {
            name for field in contract.fields.values() for name in (field.name, *field.aliases)
        }
        self.longest_name = max(map(len, self.known_names)) + NAME_PADDING
        self.rows = 0
        self.labels: set[str] = set()  # of the rows so far
        self.backslashes = False  # whether quotation marks are known to be escaped by them
        self.failed_attempts = 0
        self.broken = 0  # the line of a broken cell, if it may go on

    def read(self) -> Iterator[Record | Defect]:
        """Yield each row by column, or its defect."""
        if not self.read_header():
            return
        source, reader, names = self.source, self.reader(), self.names
        width, column, labels = len(names), self.columns["label"], self.labels
        while True:
            source.current, source.bytes = [], 0
            try:
                values = next(reader, None)
            except csv.Error as error:
                cells = Cells([], str(error))
            except TooLongError as error:
                raise self.too_long() from error
            else:
                if values is None:
                    return
                current = source.current
                # Most rows, in one go: those of one line and of a label that came before.
                common = len(values) == width and len(current) == 1 and values[column] in labels
                if common and not (self.backslashes or self.broken or is_padded(values)):
                    number = self.counts.read = current[0][0]
                    self.rows += 1
                    yield Record(number, dict(zip(names, values, strict=True)))
                    continue
                cells = Cells(values)
            self.counts.read = source.last
            if cells.error is None and is_blank(cells.values):
                self.counts.other += len(source.current)
            elif self.suspicious(cells):
                yield from self.examine(cells)
            elif not self.is_header(cells.values):
                yield self.record(cells.values)
            names, column = self.names, self.columns["label"]

    def reader(
        self, *, padded: bool = False, escaped: bool = False, doubled: bool = True
    ) -> Iterator[list[str]]:
        """Return a reader of the next lines.

        Args:
            padded: Blanks stand before cells.
            escaped: A backslash escapes a quotation mark, and itself.
            doubled: Two quotation marks within a quoted cell are one.
        """
        lines: Iterator[str] = map(keep_backslashes, self.source) if escaped else self.source
        return csv.reader(
            lines,
            delimiter=self.separator,
            strict=True,
            skipinitialspace=padded,
            escapechar="\\" if escaped else None,
            doublequote=doubled,
        )

    def next(self, reader: Iterator[list[str]]) -> Cells | None:
        """Return the next row's cells; None at the end."""
        try:
            values = next(reader, None)
        except csv.Error as error:
            return Cells([], str(error))
        except TooLongError as error:
            raise self.too_long() from error
        return None if values is None else Cells(values)

    def too_long(self) -> FileError:
        """Return the error of a row that is too long."""
        first, last = self.source.first, self.source.last
        return FileError(
            f"line {first}: a row of more than {ROW_BYTES:,} bytes, until line {last} ({UNCLOSED})"
        )

    # The header

    def read_header(self) -> bool:
        """Read the header, and choose the separator; return False if there is none.

        Raises:
            FileError: The header lacks a column or is not CSV.
        """
        forced = self.excel_separator()
        candidates = [forced] if forced else list(SEPARATORS)
        found: list[tuple[str, list[str], int]] = []
        reasons: list[FileError] = []
        widths: dict[str, int] = {}
        for candidate in candidates:
            self.separator = candidate
            self.source.begin_row()
            try:
                names = self.header_names()
                if names is None:
                    return False
                widths[candidate] = len(names)
                find_columns(names, self.contract)
                found.append((candidate, names, len(self.source.current)))
            except FileError as error:
                reasons.append(error)
            if found and found[0][0] in (",", forced):
                break
            self.source.go_back()
        if len(found) != 1:
            raise self.header_error(reasons, widths, [separator for separator, *_ in found])
        self.separator, self.names, count = found[0]
        self.source.go_back()
        self.source.begin_row()
        for _ in range(count):
            next(self.source)
        self.set_columns(self.names)
        self.counts.read = self.source.last
        self.counts.other += count
        return True

    def set_columns(self, names: list[str]) -> None:
        """Set the names of the columns, each field's by the field's own name."""
        self.columns = find_columns(names, self.contract)
        self.names = list(names)
        for field, column in self.columns.items():
            self.names[column] = field

    def excel_separator(self) -> str | None:
        """Read Excel's line that names the separator, such as `sep=;`; return None without one."""
        self.source.begin_row()
        try:
            line = next(self.source, None)
        except TooLongError as error:
            raise self.too_long() from error
        match = EXCEL_SEPARATOR.fullmatch(line) if line is not None else None
        if match is None or match[1] not in SEPARATORS:
            self.source.go_back()
            return None
        self.counts.other += 1
        return match[1]

    def header_names(self) -> list[str] | None:
        """Return the names of the header's columns, read with the chosen separator."""
        cells = self.next(self.reader())
        if cells is None:
            return None
        if cells.error is not None:
            if cells.error == UNEXPECTED_END:
                raise FileError(
                    f"line {self.source.first}: not CSV: {cells.error} at line {self.source.last} "
                    f"({UNCLOSED})"
                )
            raise FileError(f"line {self.source.first}: the header is not CSV: {cells.error}")
        return check_characters([header_name(cell) for cell in cells.values])

    def header_error(
        self, reasons: Sequence[FileError], widths: dict[str, int], found: Sequence[str]
    ) -> FileError:
        """Return the reason for a header that no separator, or more than one, can read."""
        if found:
            looks = " and ".join(SEPARATORS[separator] for separator in found)
            return FileError(f"the header can be read with {looks} between its cells; use one of them")
        widest = max(widths, key=lambda separator: widths[separator], default=",")
        if widest == "," or widths[widest] <= widths.get(",", 0):
            return reasons[0]
        return FileError(
            f"{reasons[0]}. It looks separated by {SEPARATORS[widest]}: name its columns so, or save "
            "it as CSV with commas"
        )

    def is_header(self, values: list[str]) -> bool:
        """Return whether a row is the header again, as in files that were joined; count its lines.

        From there on the columns have the order of this header.
        """
        if not self.repeats_header(values):
            return False
        self.set_columns([header_name(value) for value in values])
        self.counts.other += len(self.source.current)
        return True

    def repeats_header(self, values: list[str]) -> bool:
        """Return whether a row names the columns, in any order, perhaps by their other names."""
        if len(values) != len(self.names):
            return False
        names = [header_name(value) for value in values if len(value) <= self.longest_name]
        if sum(name.casefold() in self.known_names for name in names) < len(self.contract.required):
            return False
        try:
            find_columns([header_name(value) for value in values], self.contract)
        except FileError:
            return False
        return True

    # Rows

    def record(self, values: list[str]) -> Record | Defect:
        """Return the row of some cells."""
        source, label = self.source, values[self.columns["label"]].strip()
        if self.broken:
            broken, self.broken = self.broken, 0
            quotes = sum(line.count('"') for _, line in source.current)
            if quotes % 2 or (self.labels and label not in self.labels):
                self.broken = broken
                reason = f"part of the cell that is broken in line {broken}?"
                return Defect(source.first, None, reason, excerpt(self.separator.join(values)), self.last)
        self.rows += 1
        if len(self.labels) < MAX_KNOWN_LABELS:
            self.labels |= {label, values[self.columns["label"]]}
        return Record(source.first, dict(zip(self.names, values, strict=True)), self.last)

    @property
    def last(self) -> int | None:
        """Return the row's last line if it has several."""
        return self.source.last if len(self.source.current) > 1 else None

    def suspicious(self, cells: Cells) -> bool:
        """Return whether a row may have to be read in another way."""
        current = self.source.current
        if cells.error is not None or len(cells.values) != len(self.names) or len(current) > 1:
            return True
        line = current[0][1]
        return is_padded(cells.values) or (self.backslashes and ESCAPED_QUOTE in line)

    def examine(self, cells: Cells) -> Iterator[Record | Defect]:
        """Yield the row, read in the way that fits, or the defects of its lines."""
        source, width = self.source, len(self.names)
        sound = cells.error is None and len(cells.values) == width
        swallows = len(source.current) > 1 and cells.error is None and self.lines_are_rows(cells)
        padded = sound and is_padded(cells.values)
        text = "".join(line for _, line in source.current)
        if not sound or swallows or padded or (self.backslashes and ESCAPED_QUOTE in text):
            other = self.attempt(text)
            if other is not None:
                if not self.is_header(other.values):
                    yield self.record(other.values)
                return
        if sound and not swallows:
            if not self.is_header(cells.values):
                yield self.record(cells.values)
        elif cells.error == UNEXPECTED_END:
            raise FileError(f"line {source.first}: not CSV: {cells.error} at line {source.last} ({UNCLOSED})")
        else:
            yield from self.defects(cells, swallows=swallows)

    def defects(self, cells: Cells, *, swallows: bool) -> Iterator[Defect]:
        """Yield the defect of a row; one of each line if a cell has swallowed other rows."""
        source, counts = self.source, self.counts
        first, last = source.first, source.last
        parts = split_ends(source.current[0][1]) if cells.error is not None else []
        if len(source.current) == 1 and len(parts) > 1 and any(map(self.split, parts)):
            source.count_more(len(parts) - 1)
            yield from mixed_ends(first, parts, counts)
            return
        reason = f"{len(cells.values)} columns, but the header has {len(self.names)}"
        value = excerpt(self.separator.join(cells.values))
        if cells.error is not None:
            reason, value = f"not CSV: {cells.error}", ""
            self.broken = last
        if len(source.current) == 1 or not (swallows or cells.error is not None):
            yield Defect(first, None, reason, value, self.last)
            return
        if cells.error is None:
            reason = "rows in one cell"
        reason = (
            f"{reason}: a quote opened in line {first} goes on until line {last}; a stray quotation mark?"
        )
        for number, line in source.current:
            if line.strip():
                yield Defect(number, None, reason, excerpt(line.rstrip("\r\n")))
            else:
                counts.other += 1

    def attempt(self, text: str) -> Cells | None:
        """Read the row with the habits of other programs; return None if none of them fits.

        The lines that the row does not need are read again as the next row.
        """
        if self.failed_attempts > MAX_FAILED_ATTEMPTS:
            return None
        source, count = self.source, len(self.source.current)
        ways: list[dict[str, bool]] = []
        if ESCAPED_QUOTE in text:
            ways += [{"escaped": True, "doubled": False}, {"escaped": True}]
        if ' "' in text:
            ways += [{"padded": True}] + [way | {"padded": True} for way in ways]
        for way in ways:
            source.go_back()
            source.begin_row()
            source.limit = ATTEMPT_BYTES
            try:
                cells = self.next(self.reader(**way))
            except FileError:
                cells = None
            finally:
                source.limit = ROW_BYTES
            if self.fits(cells):
                self.counts.read = source.last
                self.backslashes = self.backslashes or "escaped" in way
                return cells
        if ways:
            self.failed_attempts += 1
        source.go_back()
        source.begin_row()
        for _ in range(count):
            next(source)
        return None

    def fits(self, cells: Cells | None) -> bool:
        """Return whether an attempt gives a sound row."""
        if cells is None or cells.error is not None or len(cells.values) != len(self.names):
            return False
        return not is_padded(cells.values) and not (
            len(self.source.current) > 1 and self.lines_are_rows(cells)
        )

    def lines_are_rows(self, cells: Cells) -> bool:
        """Return whether most lines of the row would be a row: a stray quotation mark has joined them.

        Some of the lines may be bad themselves, blank, or headers; so no line alone decides. The label of one
        line is the row's own. The others' must be known, or look like labels as long as others may come,
        which the lines of a text with as many separators hardly do.
        """
        column = self.columns["label"]
        known = set(map(str.casefold, self.labels))
        lines = [line for _, line in self.source.current]
        if self.split(lines[0]) is None or self.split(lines[-1]) is None:
            return False  # the lines with the stray marks are rows too; a text's first and last part are not
        if cells.error is None and len(cells.values) == len(self.names):
            known.add(cells.values[column].strip().casefold())
            broken = next((at for at, value in enumerate(cells.values) if "\n" in value or "\r" in value), 0)
            lines.pop(-1 if column > broken else 0)
        split = [self.split(line) for line in lines if line.strip()]
        others = [parts for parts in split if parts is None or not self.repeats_header(parts)]
        rows = [parts for parts in others if parts is not None]
        if not rows:
            return False
        with_label = [parts for parts in rows if parts[column].strip(BESIDE_LABEL).casefold() in known]
        if self.labels and self.rows >= ROWS_PER_LABEL * len(self.labels):
            return 2 * len(with_label) >= len(others)
        words = LABEL_WORDS if len(others) > 1 else 1
        row_like = [parts for parts in rows if is_row_like(parts, column, words)]
        return 2 * len(row_like) > len(others) or (bool(with_label) and 2 * len(rows) >= len(others))

    def split(self, line: str) -> list[str] | None:
        """Return the cells of a line if it has as many as the header."""
        if line.count(self.separator) < len(self.names) - 1:
            return None
        for quoting in (csv.QUOTE_NONE, csv.QUOTE_MINIMAL):
            try:
                cells = next(csv.reader([line], delimiter=self.separator, quoting=quoting), [])
            except csv.Error:
                continue
            if len(cells) == len(self.names):
                return cells
        return None


def read_csv(
    lines: Iterator[tuple[int, bytes]], contract: Contract, counts: Lines
) -> Iterator[Record | Defect]:
    """Yield each row by column; a row that is not CSV or has other columns than the header is a defect.

    Raises:
        FileError: The header lacks a column or is not CSV, or a quote is not closed.
    """
    yield from CsvReader(lines, contract, counts).read()


def keep_backslashes(line: str) -> str:
    """Double the backslashes of a line that escape neither a quotation mark nor a backslash."""
    return BACKSLASH.sub(lambda found: found[0] if found[1] else "\\\\", line)


def is_blank(values: list[str]) -> bool:
    """Return whether a line has no cell, or a blank one only."""
    return not values or (len(values) == 1 and not values[0].strip())


def is_padded(values: list[str]) -> bool:
    """Return whether a cell has a blank before its quotation mark."""
    for value in values:  # noqa: SIM110 - a generator would take longer, in each row
        if value[:1] == " " and value.lstrip(" ")[:1] == '"':
            return True
    return False


def is_row_like(parts: list[str], column: int, words: int) -> bool:
    """Return whether the cells of a line look like a row: no blanks around them, and a label of few words."""
    label = parts[column].strip('"\r\n')
    is_short = 0 < len(label) <= LABEL_CHARACTERS and len(label.split()) <= words
    return is_short and all(part.rstrip("\r\n") == part.strip() for part in parts)


def header_name(cell: str) -> str:
    """Return the name of a column without blanks, marks and quotation marks around it."""
    name = cell.strip().removeprefix(BYTE_ORDER_MARK).strip()
    return name[1:-1].strip() if len(name) > 1 and name[0] == name[-1] == '"' else name


def check_characters(names: list[str]) -> list[str]:
    """Refuse a header that is not text."""
    joined = ",".join(names)
    for character in joined:
        if ord(character) in ESCAPED_BYTES:
            raise FileError(f"not UTF-8 text: byte 0x{ord(character) - 0xDC00:02x} in the header")
    if "\0" in joined:
        raise FileError("not text: NUL byte in the header")
    return names
