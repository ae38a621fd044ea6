"""Write one JSON line per request to standard output."""

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime

import orjson

from toolkit.messages import Request, Response

PIPE_BYTES = 4096  # a pipe writes this much atomically, also with several writers


class AccessLog:
    """Buffer log lines, so that a request costs no system call."""

    def __init__(self, file: int | None = None) -> None:
        self._file = sys.stdout.fileno() if file is None else file
        self._lines: list[bytes] = []
        self._size = 0

    def add(self, request: Request, response: Response, identity: str, seconds: float) -> None:
        """Add the line of an answered request."""
        line = orjson.dumps(
            {
                "time": datetime.now(UTC),
                "id": identity,
                "method": request.method.decode("latin-1"),
                "path": request.path[:200].decode("latin-1"),
                "status": response.status,
                "ms": round(seconds * 1000, 3),
                "bytes": request.size,
                "rows": response.rows,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        if self._size + len(line) > PIPE_BYTES:
            self.flush()
        self._lines.append(line)
        self._size += len(line)

    def flush(self) -> None:
        """Write the buffered lines. If writing fails, drop them: logging must not stop the server."""
        content, self._lines, self._size = b"".join(self._lines), [], 0
        with suppress(OSError):
            while content:
                content = content[os.write(self._file, content) :]
