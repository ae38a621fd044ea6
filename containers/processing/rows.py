"""Reads labelled texts from one raw file: CSV or JSON Lines, told apart by the first character."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from errors import FileError
from lines import read_lines

REQUIRED = ("id", "text", "label")
SPLITS = ("train", "test")
TEXT_CHARACTERS = 1 << 20
TEXT_BYTES = 5_000_000  # as JSON; with its id and label under 5 MiB, and Batch Transform sends at most 6
NAME_CHARACTERS = 256  # of an id or a label
SHOWN_CHARACTERS = 60  # of a value in a reason


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text; split is empty where the file does not say."""

    id: str
    text: str
    label: str
    split: str


def read_rows(path: Path) -> Iterator[Row]:
    """Yield a file's rows.

    Raises:
        FileError: The file is not what is expected; names the line where there is one.
    """
    lines = read_lines(path)
    start, first = next(((n, line) for n, line in enumerate(lines, 1) if line.strip()), (0, ""))
    match first.lstrip()[:1]:
        case "":
            raise FileError("empty file")
        case "{":
            records = read_json_lines(chain([first], lines), start)
        case "[":
            raise FileError("a JSON array; write JSON Lines, one object a line")
        case _:
            records = read_csv(chain([first], lines), start)
    empty = True
    for line, values in records:
        yield check(line, values)
        empty = False
    if empty:
        raise FileError("no rows under the header")


def read_json_lines(lines: Iterator[str], start: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each line's number and object."""
    for number, line in enumerate(lines, start):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FileError(f"line {number}: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise FileError(f"line {number}: not a JSON object")
        yield number, values


def read_csv(lines: Iterator[str], start: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each record's first line number and its values by column."""
    limit = csv.field_size_limit(TEXT_CHARACTERS)
    reader = csv.reader(lines, strict=True)
    line = start
    try:
        header = check_header(next(reader))
        line = start + reader.line_num
        for record in reader:
            if record and len(record) != len(header):
                raise FileError(f"line {line}: {len(record)} columns where the header has {len(header)}")
            if record:
                yield line, dict(zip(header, record, strict=True))
            line = start + reader.line_num
    except csv.Error as error:
        raise FileError(f"line {line}: not CSV: {error}{csv_hint(str(error))}") from error
    finally:
        csv.field_size_limit(limit)


def csv_hint(message: str) -> str:
    """What most likely is behind a cell without an end."""
    endless = "field limit" in message or "end of data" in message
    return " (a quote that is not closed?)" if endless else ""


def check_header(header: list[str]) -> list[str]:
    """Return the columns' names, among which all needed ones stand once."""
    names = [name.strip() for name in header]
    if any(names.count(name) != 1 for name in REQUIRED) or names.count("split") > 1:
        raise FileError(f"the columns are {shown(','.join(names))}; id,text,label[,split] are needed")
    return names


def check(line: int, values: dict[str, Any]) -> Row:
    """Return the row that a record holds."""
    missing = [name for name in REQUIRED if values.get(name) is None]
    if missing:
        raise FileError(f"line {line}: no {' and no '.join(missing)}")
    row = Row(
        id=string(line, "id", values["id"]).strip(),
        text=string(line, "text", values["text"]),
        label=string(line, "label", values["label"]).strip(),
        split=string(line, "split", values.get("split") or "").strip().lower(),
    )
    for name in REQUIRED:
        value: str = getattr(row, name)
        limit = TEXT_CHARACTERS if name == "text" else NAME_CHARACTERS
        if not value.strip():
            raise FileError(f"line {line}: empty {name}")
        if len(value) > limit:
            raise FileError(f"line {line}: {name} of {len(value):,} characters; at most {limit:,}")
    size = len(json.dumps(row.text, ensure_ascii=False).encode())
    if size > TEXT_BYTES:
        raise FileError(f"line {line}: text of {size:,} bytes as JSON; at most {TEXT_BYTES:,}")
    if row.split and row.split not in SPLITS:
        raise FileError(f"line {line}: unknown split '{shown(row.split)}'; use train or test")
    return row


def string(line: int, name: str, value: object) -> str:
    """Return a value as text; numbers are fine as ids and labels."""
    if isinstance(value, int) and not isinstance(value, bool) and name != "text":
        return str(value)
    if not isinstance(value, str):
        raise FileError(f"line {line}: {name} is not a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise FileError(f"line {line}: {name} holds half a surrogate pair") from error
    return value


def shown(value: str) -> str:
    """As much of a value as a reason may hold."""
    return value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 1] + "…"
