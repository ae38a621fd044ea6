"""How batch transform cuts a file into requests, and has several under way without mixing their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import BinaryIO, TypeVar

from localaws.sagemaker.api.errors import ClientFailure

_T = TypeVar("_T")
_U = TypeVar("_U")


def lines(file: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """The file's records, one a line, without their ends; empty lines are none.

    Raises:
        ClientFailure: a line is longer than a payload may be.
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
    """As many records in each batch as fit into a payload, joined by newlines."""
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
    """The whole file as one record.

    Raises:
        ClientFailure: it is larger than a payload may be.
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
    """Do work on all items, up to `window` of them begun and not yet taken; give them in their order."""
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
