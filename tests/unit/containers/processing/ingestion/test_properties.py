import contextlib
import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processing.errors import FileError
from processing.ingestion import contract, rows
from processing.ingestion.formats import raw_file
from processing.ingestion.identity import identity
from processing.ingestion.rows import derived_id

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\n\r\x85\u2028\u2029"), min_size=1, max_size=60
)
SEEN = TEXT.filter(lambda text: bool(text.strip()))
ROWS = st.lists(st.tuples(SEEN, SEEN), max_size=20, unique_by=lambda row: row[0].strip())
# `read` keeps nothing between its calls.
QUICKLY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def read() -> Callable[[bytes], list[Any]]:
    rules = contract.load()

    def read(content: bytes) -> list[Any]:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "a"
            path.write_bytes(content)
            found = raw_file.read_rows(path, rules)
            return [rows.check(item, rules) if isinstance(item, rows.Record) else item for item in found]

    return read


def key_of(key: str, text: str) -> str:
    key = identity(key.strip(), "id")
    missing = not key or key.casefold() in contract.load().fields["id"].null_words
    return derived_id(text) if missing else key


@given(
    rows=ROWS,
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
@QUICKLY
def test_every_text_survives_csv(
    read: Callable[[bytes], list[Any]], rows: list[tuple[str, str]], quoting: int, end: str
) -> None:
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    writer.writerows([("id", "text", "label"), *((key, text, "pos") for key, text in rows)])
    found = read(target.getvalue().encode())
    assert [(row.id, row.text) for row in found] == [(key_of(key, text), text) for key, text in rows]


@given(rows=ROWS, ascii_only=st.booleans())
@QUICKLY
def test_every_text_survives_json_lines(
    read: Callable[[bytes], list[Any]], rows: list[tuple[str, str]], ascii_only: bool
) -> None:
    lines = [
        json.dumps({"id": key, "text": text, "label": "pos"}, ensure_ascii=ascii_only) for key, text in rows
    ]
    if lines:
        found = read(("\n".join(lines) + "\n").encode())
        assert [(row.id, row.text) for row in found] == [(key_of(key, text), text) for key, text in rows]


@given(noise=st.binary(max_size=300), start=st.sampled_from([b"", b"id,text,label\n", b"{", b"PAR1"]))
@QUICKLY
def test_noise_gives_rows_defects_or_a_reason_but_no_crash(
    read: Callable[[bytes], list[Any]], noise: bytes, start: bytes
) -> None:
    with contextlib.suppress(FileError):
        assert all(type(item).__name__ in ("Row", "Defect") for item in read(start + noise))


@given(cut=st.integers(0, 400), flipped=st.integers(0, 2000))
@QUICKLY
def test_damaged_gzip_gives_a_reason_but_no_crash(
    read: Callable[[bytes], list[Any]], cut: int, flipped: int
) -> None:
    whole = gzip.compress(b"id,text,label\n" + b"".join(b"%d,text %d,pos\n" % (i, i) for i in range(200)))
    damaged = bytearray(whole[: max(len(whole) - cut, 0)])
    if damaged:
        damaged[flipped % len(damaged)] ^= 0x55
    with contextlib.suppress(FileError):
        assert len(read(bytes(damaged))) == 200  # where only gzip's own header is damaged


def test_reading_is_deterministic(read: Callable[[bytes], list[Any]]) -> None:
    content = b"text,label\n" + b"".join(b"text %d,pos\n" % i for i in range(50))
    assert read(content) == read(content)
    assert len({row.id for row in read(content)}) == 50
