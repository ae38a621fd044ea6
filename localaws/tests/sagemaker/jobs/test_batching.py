import io
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from localaws.sagemaker.api.errors import ClientFailure
from localaws.sagemaker.jobs.batching import batches, in_order, lines, whole


def test_lines_have_no_ends_and_empty_ones_are_none() -> None:
    assert list(lines(io.BytesIO(b"a\r\nb\n\n\nc"), 10)) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_may_be_as_large_as_the_payload_and_no_larger(end: bytes) -> None:
    assert list(lines(io.BytesIO(b"a\n" + b"x" * 10 + end), 10)) == [b"a", b"x" * 10]
    with pytest.raises(ClientFailure, match="Record 2 is larger than MaxPayloadInMB"):
        list(lines(io.BytesIO(b"a\n" + b"x" * 11 + end), 10))


def test_batches_are_as_full_as_the_payload_allows() -> None:
    generator = random.Random(1)
    records = [b"x" * generator.randint(1, 40) for _ in range(500)]
    made = list(batches(records, 100))
    assert [record for batch in made for record in batch] == records
    sizes = [len(b"\n".join(batch)) for batch in made]
    assert max(sizes) <= 100
    for size, following in zip(sizes, made[1:], strict=False):
        assert size + 1 + len(following[0]) > 100


def test_a_whole_object_has_to_fit() -> None:
    assert list(whole(io.BytesIO(b"12345"), 5)) == [[b"12345"]]
    with pytest.raises(ClientFailure, match="The object is larger than MaxPayloadInMB"):
        list(whole(io.BytesIO(b"123456"), 5))


def test_answers_keep_their_order_and_only_a_window_is_begun() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def work(number: int) -> int:
        gate.wait(10)
        return number * 2

    def items() -> Iterator[int]:
        for number in range(20):
            begun.append(number)
            yield number

    with ThreadPoolExecutor(4) as pool:
        answers = in_order(pool, work, items(), 6)
        first = next(answers)
        assert begun == [0, 1, 2, 3, 4, 5]
        gate.set()
        assert [first[1].result()] + [future.result() for _, future in answers] == [n * 2 for n in range(20)]
