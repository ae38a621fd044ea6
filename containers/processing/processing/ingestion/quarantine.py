"""Write bad rows, with file, row, field and reason, as JSON Lines."""

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from processing.ingestion.rows import Defect


class Quarantine:
    """A file of bad rows, created with the first one.

    Args:
        file: A path below the folder that SageMaker uploads.
        uri: The S3 URI of the upload, if known.
    """

    def __init__(self, file: Path, uri: str | None) -> None:
        self.path = file
        self.location = f"{uri.rstrip('/')}/{file.name}" if uri else str(file)
        self.file: IO[str] | None = None

    def add(self, key: str, row: int | None, defect: Defect) -> None:
        """Add a bad row; row None means the whole file."""
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
        if defect.last not in (None, defect.line):
            line["lastLine"] = defect.last
        # Escaped, because a bad value may contain characters that UTF-8 cannot encode.
        self.file.write(json.dumps(line) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file is not None:
            self.file.close()
            print(f"bad rows: {self.location}", flush=True)
