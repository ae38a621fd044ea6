"""Read fastText's lines: `__label__pos a lovely film`."""

import re
from collections.abc import Iterator

from processing.ingestion.formats.lines import LINE_BYTES
from processing.ingestion.rows import Defect, Lines, Record, excerpt

PREFIX = b"__label__"
LABELS = re.compile(r"\s*((?:__label__\S+\s*,?\s*)+)")


def read_fasttext(lines: Iterator[tuple[int, bytes]], counts: Lines) -> Iterator[Record | Defect]:
    """Yield the label and the text of each line; skip blank lines."""
    for number, content in lines:
        counts.read = number
        if not content.strip():
            counts.other += 1
            continue
        line = content[:LINE_BYTES].decode("utf-8", "surrogateescape")
        match = LABELS.match(line)
        labels = re.findall(r"__label__([^\s,]+)", match[1]) if match else []
        if match is None or len(labels) != 1:
            fault = f"{len(labels)} labels" if labels else "no __label__"
            yield Defect(
                number, "label", f"{fault} at the start of the line; one is needed", excerpt(line.strip())
            )
        else:
            yield Record(number, {"label": labels[0], "text": line[match.end() :].strip("\r\n")})
