"""Download aclImdb from Stanford, with resumption, a checksum and a short timeout."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

URL = "http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
TIMEOUT_SECONDS = 6.0
CHUNK_BYTES = 1 << 18


class Unreachable(Exception):  # noqa: N818 - a condition that the caller handles
    """The archive could not be downloaded; the message states the reason."""


class Bar(Protocol):
    """A callback that shows the progress of the download."""

    def __call__(self, received: int, total: int | None) -> None:
        """Show `received` of `total` bytes."""


def fetch(target: Path, console: Console, url: str = URL, sha256: str = SHA256) -> Path:
    """Download to `target`, resuming an earlier `.part`; `target` is only created when it is complete.

    Raises:
        Unreachable: The host does not respond, the transfer fails, or the checksum differs.
    """
    if target.exists() and digest(target) == sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    columns = (BarColumn(40), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("  {task.description}"), *columns, console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(target.name, total=None)
        try:
            _transfer(url, part, lambda got, total: bar.update(task, completed=got, total=total))
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"{url}: {reason}") from error
    if digest(part) != sha256:
        part.unlink()
        raise Unreachable(f"{url} returned another file than the archive (its SHA-256 differs)")
    return part.replace(target)


def digest(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _transfer(url: str, part: Path, show: Bar) -> None:
    size = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={size}-"} if size else {})  # noqa: S310
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310 - a constant http URL
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        return
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        start = size if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            received = _copy(response, file, start, total, show)
    if total is not None and received < total:
        raise OSError(
            f"the connection was closed after {received:,} of {total:,} bytes; the next attempt resumes there"
        )


def _copy(
    source: http.client.HTTPResponse, target: BinaryIO, start: int, total: int | None, show: Bar
) -> int:
    received = start
    while chunk := source.read1(CHUNK_BYTES):
        target.write(chunk)
        received += len(chunk)
        show(received, total)
    return received
