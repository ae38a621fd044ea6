"""Download the raw objects one after the other, a few ahead, so that a volume need not hold them all."""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from processing.errors import FileError
from processing.ingestion.bucket import Bucket
from processing.ingestion.plan import Source

THREADS = 8
AHEAD_FILES = 16
AHEAD_BYTES = 256 << 20  # of more than one file; the next one is read ahead whatever its size


def fetch(bucket: Bucket, sources: Sequence[Source]) -> Generator[tuple[Source, FileError | None]]:
    """Yield each source, in order, when its file exists, or with the reason why it does not.

    A file is deleted when the next one is asked for.

    Raises:
        ReadError: The job can read no object.
    """
    waiting = deque(sources)
    ahead: deque[tuple[Source, Future[Path]]] = deque()
    pool = ThreadPoolExecutor(THREADS, "download")

    def read_ahead() -> None:
        while waiting and has_room(ahead, waiting[0]):
            source = waiting.popleft()
            ahead.append((source, pool.submit(bucket.download, source)))

    try:
        read_ahead()
        while ahead:
            source, future = ahead.popleft()
            read_ahead()
            try:
                yield source, refusal(future)
            finally:
                source.path.unlink(missing_ok=True)
    finally:
        bucket.stopped.set()
        pool.shutdown(cancel_futures=True)


def has_room(ahead: Iterable[tuple[Source, object]], source: Source) -> bool:
    """Return whether a source may be read ahead beside the others."""
    sizes = [other.size for other, _ in ahead]
    return not sizes or (len(sizes) < AHEAD_FILES and sum(sizes) + source.size <= AHEAD_BYTES)


def refusal(future: Future[Path]) -> FileError | None:
    """Wait for a download, and return why there is no file."""
    try:
        future.result()
    except FileError as error:
        return error
    return None
