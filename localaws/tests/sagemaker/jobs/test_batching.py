import io
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from localaws.sagemaker.api.errors import ClientFailure
from localaws.sagemaker.jobs.batching import batches, in_order, lines, whole


def test_lines_are_without_ends_and_empty_lines_are_skipped() -> None:
    assert list(lines(io.BytesIO(b"a\r\nb\n\n\nc"), 10)) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_is_at_most_as_large_as_the_payload(end: bytes) -> None:
    assert list(lines(io.BytesIO(b"a\n" + b"x" * 10 + end), 10)) == [b"a", b"x" * 10]
    with pytest.raises(ClientFailure, match="Record 2 is larger than MaxPayloadInMB"):
        list(lines(io.BytesIO(b"a\n" + b"x" * 11 + end), 10))


def test_batches_are_as_full_as_the_payload_allows() -> None:
    generator = random.Random(1)
    records = [b"x" * generator.randint(1, 40) for _ in range(500)]
    grouped = list(batches(records, 100))
    assert [record for batch in grouped for record in batch] == records
    sizes = [len(b"\n".join(batch)) for batch in grouped]
    assert max(sizes) <= 100
    for size, following in zip(sizes, grouped[1:], strict=False):
        assert size + 1 + len(following[0]) > 100


def test_a_whole_object_is_at_most_as_large_as_the_payload() -> None:
    assert list(whole(io.BytesIO(b"12345"), 5)) == [[b"12345"]]
    with pytest.raises(ClientFailure, match="The object is larger than MaxPayloadInMB"):
        list(whole(io.BytesIO(b"123456"), 5))


def test_results_keep_their_order_and_only_a_window_is_submitted() -> None:
    submitted: list[int] = []
    release = threading.Event()

    def work(number: int) -> int:
        release.wait(10)
        return number * 2

    def items() -> Iterator[int]:
        for number in range(20):
            submitted.append(number)
            yield number

    with ThreadPoolExecutor(4) as pool:
        results = in_order(pool, work, items(), 6)
        first = next(results)
        assert submitted == [0, 1, 2, 3, 4, 5]
        release.set()
        assert [first[1].result()] + [future.result() for _, future in results] == [n * 2 for n in range(20)]
