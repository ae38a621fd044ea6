"""Bad rows, with file, row, field and reason: one line of JSON each."""

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from processing.ingestion.rows import Defect


class Quarantine:
    """A file of bad rows, which is there once there is one.

    Args:
        file: Below the folder that SageMaker uploads.
        uri: To where it does; without one, the file's own place is told.
    """

    def __init__(self, file: Path, uri: str | None) -> None:
        self.path = file
        self.location = f"{uri.rstrip('/')}/{file.name}" if uri else str(file)
        self.file: IO[str] | None = None

    def add(self, key: str, row: int | None, defect: Defect) -> None:
        """Note a bad row; row None stands for the whole file."""
        if self.file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("w", encoding="utf-8")
        line = {
            "file": key,
            "row": row,
            "line": defect.line,
            "field": defect.field,
            "reason": defect.reason,
            "value": defect.value,
        }
        # Escaped, since a bad value may hold what UTF-8 has no bytes for.
        self.file.write(json.dumps(line) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file is not None:
            self.file.close()
            print(f"bad rows: {self.location}", flush=True)
