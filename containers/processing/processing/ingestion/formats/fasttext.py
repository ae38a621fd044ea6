"""Read fastText's lines: `__label__pos a lovely film`."""

import re
from collections.abc import Iterator, Sequence

from processing.ingestion.formats.lines import LINE_BYTES, mixed_ends, split_ends
from processing.ingestion.rows import Defect, Lines, Record, excerpt

PREFIX = b"__label__"
# A blank ends a label, and a comma between blanks may follow it.
LABELS = re.compile(r"\s*((?:__label__\S+(?:\s+(?:,\s+)?|$))+)")


def read_fasttext(lines: Iterator[tuple[int, bytes]], counts: Lines) -> Iterator[Record | Defect]:
    """Yield the label and the text of each line; skip blank lines."""
    more = 0  # lines than were read, because several were read as one
    for read, content in lines:
        number = counts.read = read + more
        if not content.strip():
            counts.other += 1
            continue
        line = content[:LINE_BYTES].decode("utf-8", "surrogateescape")
        parts = split_ends(line)
        if any(part.lstrip().startswith(PREFIX.decode()) for part in parts[1:]):
            yield from mixed_ends(number, parts, counts)
            more += len(parts) - 1
            continue
        match = LABELS.match(line)
        labels = re.findall(r"__label__(\S+)", match[1]) if match else []
        if match is None or fault(labels):
            yield Defect(number, "label", fault(labels), excerpt(line.strip()))
        else:
            yield Record(number, {"label": labels[0], "text": line[match.end() :].strip("\r\n")})


def fault(labels: Sequence[str]) -> str:
    """Return what is wrong with the labels of a line; empty if nothing is."""
    if len(labels) != 1:
        found = f"{len(labels)} labels" if labels else "no __label__"
        return f"{found} at the start of the line; one is needed"
    if "," in labels[0]:
        return f"a comma in the label '{excerpt(labels[0])}'; write a blank between a label and the text"
    return ""
