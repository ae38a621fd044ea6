"""Split an input file of batch transform into requests, and run them concurrently in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import BinaryIO, TypeVar

from localaws.sagemaker.api.errors import ClientFailure

_T = TypeVar("_T")
_U = TypeVar("_U")


def lines(file: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """Yield the file's records, one per line, without line ends; skip empty lines.

    Raises:
        ClientFailure: a line is longer than max_bytes.
    """
    number = 0
    while line := file.readline(max_bytes + 3):
        number += 1
        record = line.rstrip(b"\r\n")
        if len(record) > max_bytes:
            raise ClientFailure(
                f"Record {number} is larger than MaxPayloadInMB allows ({max_bytes} bytes): "
                "raise MaxPayloadInMB"
            )
        if record:
            yield record


def batches(records: Iterable[bytes], max_bytes: int) -> Iterator[list[bytes]]:
    """Group records into batches; a batch joined by newlines is at most max_bytes long."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        if batch and size + 1 + len(record) > max_bytes:
            yield batch
            batch, size = [], 0
        size += len(record) + (1 if batch else 0)
        batch.append(record)
    if batch:
        yield batch


def whole(file: BinaryIO, max_bytes: int) -> Iterator[list[bytes]]:
    """Yield one batch with the whole file as its only record.

    Raises:
        ClientFailure: the file is larger than max_bytes.
    """
    content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ClientFailure(
            f"The object is larger than MaxPayloadInMB allows ({max_bytes} bytes): "
            "raise MaxPayloadInMB or set a SplitType"
        )
    yield [content]


def in_order(
    pool: Executor, work: Callable[[_T], _U], items: Iterable[_T], window: int
) -> Iterator[tuple[_T, Future[_U]]]:
    """Run `work` on all items in the pool and yield (item, future) in the items' order.

    At most `window` items are submitted and not yet yielded.
    """
    pending: deque[tuple[_T, Future[_U]]] = deque()
    try:
        for item in items:
            pending.append((item, pool.submit(work, item)))
            if len(pending) >= window:
                yield pending.popleft()
        while pending:
            yield pending.popleft()
    finally:
        for _, future in pending:
            future.cancel()
