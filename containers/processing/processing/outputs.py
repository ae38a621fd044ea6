"""Write the output files of a job in UTF-8; missing folders are created."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write one JSON document."""
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_lines(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON Lines."""
    write_text(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_text(file: Path, text: str) -> None:
    """Write text; a lone surrogate, which UTF-8 cannot encode, is escaped as in JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode("utf-8", "backslashreplace"))
