"""Read a JSON Lines file: one object per line."""

import json
import re
from collections.abc import Iterator

from processing.ingestion.contract import Contract
from processing.ingestion.formats.columns import Names
from processing.ingestion.formats.exports import labelled
from processing.ingestion.formats.lines import BYTE_ORDER_MARK, LINE_BYTES, mixed_ends, split_ends
from processing.ingestion.rows import Defect, Lines, Record, excerpt

BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def read_json_lines(
    lines: Iterator[tuple[int, bytes]], contract: Contract, counts: Lines
) -> Iterator[Record | Defect]:
    """Yield each line's object, or its defect; skip blank lines.

    Raises:
        FileError: A field could be in several names, or the file has to be exported in another way.
    """
    names = Names(contract)
    more = 0  # lines than were read, because several were read as one
    for read, content in lines:
        number = counts.read = read + more
        if not content.strip():
            counts.other += 1
            continue
        content = content.removeprefix(BYTE_ORDER_MARK)  # of a file that was joined to the one before
        try:
            values = parse(content, contract.max_json_depth)
            yield Record(number, with_fields(values, names.find(values)))
        except ValueError as error:
            parts = split_ends(content[:LINE_BYTES].decode("utf-8", "replace"))
            if any(part.lstrip().startswith("{") for part in parts[1:]):
                yield from mixed_ends(number, parts, counts)
                more += len(parts) - 1
                continue
            value = excerpt(content[: LINE_BYTES >> 10].decode("utf-8", "replace").strip())
            yield Defect(number, None, str(error), value)


def with_fields(values: dict[str, object], found: dict[str, str]) -> dict[str, object]:
    """Return an object with the contract's fields by their own names."""
    fields = {field: values[name] for field, name in found.items() if field != name}
    if "text" not in found or "label" not in found:
        fields |= labelled(values, found)
    return values | fields if fields else values


def parse(content: bytes, max_depth: int) -> dict[str, object]:
    """Parse the object of a line.

    Raises:
        ValueError: The line is not a valid object; the message is the reason.
    """
    if len(content) > LINE_BYTES:
        raise ValueError(f"a line of more than {LINE_BYTES:,} bytes")
    try:
        line = content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: byte 0x{content[error.start]:02x}") from error
    if line.count("{") + line.count("[") > max_depth and depth(line) > max_depth:
        raise ValueError(f"JSON of a depth of more than {max_depth}")
    try:
        values = json.loads(line, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    return values


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object, refusing repeated names."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{excerpt(next(name for name in names if names.count(name) > 1))!r} is repeated")
    return values


def depth(line: str) -> int:
    """Return the nesting depth of objects and arrays, ignoring brackets in strings."""
    level = deepest = 0
    for found in BRACKET.findall(line):
        if found in "[{":
            level += 1
            deepest = max(deepest, level)
        elif found in "]}":
            level -= 1
    return deepest
