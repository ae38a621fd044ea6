import json

import numpy as np
import pytest

from toolkit.content_types import CSV, JSON, JSON_LINES, answer_type, has_header
from toolkit.errors import RequestError
from toolkit.formats import parse, render

LABELS = ("neg", "pos")
SURE = np.array([[0.25, 0.75]])


@pytest.mark.parametrize(
    ("body", "content_type", "texts"),
    [
        ('{"text": "a"}', JSON, ["a"]),
        ('["a", {"text": "b"}]', JSON, ["a", "b"]),
        ('{"instances": ["a"]}', JSON, ["a"]),
        ('\ufeff"a"', JSON, ["a"]),
        ('{"text": "a", "text": "b"}', JSON, ["b"]),
        (r'{"text": "\ud800 \ud83d\ude00"}', JSON, ["\ufffd \U0001f600"]),
        ('{"text": "a"}\n\n \t\n"b"\r\n', JSON_LINES, ["a", "b"]),
        ('{"text": "one\u2028line\x85"}', JSON_LINES, ["one\u2028line\x85"]),
        ('\ufeffbad\r\n"good, ""good""\nand so on"\r\n\r\n?', CSV, ["bad", 'good, "good"\nand so on', "?"]),
    ],
)
def test_texts_are_found(body: str, content_type: str, texts: list[str]) -> None:
    assert parse(body.encode(), content_type).texts == texts


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        ('{"text": "a"}\n{"text": "b"', JSON_LINES, 400, "line 2: not JSON"),
        ('{"text": "a"}\n[1]', JSON_LINES, 400, "line 2: not an object with a 'text'"),
        ('{"txt": "a"}', JSON_LINES, 400, "line 1: no 'text'"),
        ('{"text": 1}', JSON_LINES, 400, "line 1: 'text' is not a string"),
        ('{"text": "a", "id": []}', JSON_LINES, 400, "line 1: 'id' is neither a string nor a whole number"),
        ('{"text": "a", "id": true}', JSON, 400, "row 1: 'id' is neither a string nor a whole number"),
        ('{"text": "a", "id": 1e999}', JSON, 400, "not JSON"),
        ('{"text": "a", "explain": 101}', JSON, 400, "row 1: 'explain' is not a whole number from 0 to 100"),
        ('{"text": "a", "explain": true}', JSON, 400, "row 1: 'explain' is not a whole number from 0 to 100"),
        (json.dumps({"text": "a" * 1_100_000}), JSON, 400, "row 1: 'text' of 1,100,000 characters"),
        (b'{"text": "a"}\n{"text": "\xff"}', JSON_LINES, 400, "line 2: not UTF-8: byte 0xff"),
        (b'[\n"\xc3"]', JSON, 400, "line 2: not UTF-8: byte 0xc3"),
        (b"a\n\xff\n", CSV, 400, "line 2: not UTF-8: byte 0xff"),
        ('{"text": "a", "n": NaN}', JSON, 400, "not JSON"),
        ("", JSON_LINES, 400, "the request has no rows"),
        ("[]", JSON, 400, "the request has no rows"),
        ("\n\n", CSV, 400, "the request has no rows"),
        ('{"instances": 1}', JSON, 400, "'instances' is not a list"),
        ('[{"text": "a"}, {}]', JSON, 400, "row 2: no 'text'"),
        ("[" * 200_000, JSON, 400, "not JSON"),
        (r'["\ud800",' + "[" * 200_000, JSON, 400, "not JSON: nested too deeply"),
        ("a\nb, c", CSV, 400, "line 2: 2 columns; quote a text that holds a comma"),
        ('"a\nb"\n"c', CSV, 400, "line 3: not CSV"),
        ('"a"b\n', CSV, 400, "line 1: not CSV"),
        ('""\n' * 200_001, CSV, 413, "more than 200,000 rows"),
    ],
)
def test_what_is_wrong_is_named(body: str | bytes, content_type: str, status: int, reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(body if isinstance(body, bytes) else body.encode(), content_type)
    assert caught.value.status == status
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("body", "texts", "keys"),
    [
        ("text\r\na fine film\r\n", ["a fine film"], [{}]),
        ("\ufeffreview\na\nb\n", ["a", "b"], [{}, {}]),
        ('\n"text"\n"one, two\nthree"\n\ntext\n', ["one, two\nthree", "text"], [{}, {}]),
        ("id,stars, Text\n7,5,a\n8,,b\n", ["a", "b"], [{"id": "7"}, {"id": "8"}]),
    ],
)
def test_header_of_csv_is_no_text(body: str, texts: list[str], keys: list[dict[str, str]]) -> None:
    inputs = parse(body.encode(), CSV, header=True)
    assert (inputs.texts, inputs.keys) == (texts, keys)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("text\n", "the request has no rows"),
        ("id,review\n1,a\n", "line 1: the columns are id,review; text[,id] are needed, each once"),
        ("text,text\na,b\n", "line 1: the columns are text,text"),
        ("id,text\n1,a\n2,b,c\n", "line 3: 3 columns, but the header has 2"),
    ],
)
def test_what_is_wrong_with_a_header_is_named(body: str, reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(body.encode(), CSV, header=True)
    assert (caught.value.status, str(caught.value)[: len(reason)]) == (400, reason)


@pytest.mark.parametrize(
    ("content_type", "header"),
    [
        (None, False),
        ("text/csv", False),
        ("text/csv; header=absent", False),
        ("text/csv; charset=utf-8; header=present", True),
        ('text/CSV;Header="Present"', True),
    ],
)
def test_content_type_says_whether_there_is_a_header(content_type: str | None, header: bool) -> None:
    assert has_header(content_type) is header


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        ("text/csv; header=yes", "header=yes is not supported; send header=present or header=absent"),
        ("application/json; header=present", "header=present is for text/csv only"),
    ],
)
def test_header_of_another_kind_is_refused(content_type: str, reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        has_header(content_type)
    assert (caught.value.status, str(caught.value)) == (415, reason)


def answered(body: str, content_type: str, accept: str) -> str:
    inputs = parse(body.encode(), content_type)
    probabilities = np.repeat(SURE, len(inputs.texts), axis=0)
    explanations = {place: [("good", 1.5)] for place in inputs.explain}
    return render(inputs, LABELS, probabilities, explanations, accept).decode()


def test_an_answer_has_the_form_of_its_request() -> None:
    one = {"label": "pos", "probabilities": {"neg": 0.25, "pos": 0.75}}
    assert json.loads(answered('"a"', JSON, JSON)) == one
    assert json.loads(answered('["a"]', JSON, JSON)) == [one]
    assert json.loads(answered('{"instances": ["a"]}', JSON, JSON)) == {"predictions": [one]}
    assert answered('["a", "b"]', JSON, CSV) == "pos,0.75\n" * 2
    lines = answered('{"text": "a", "id": 7}\n{"text": "b", "explain": 1}', JSON_LINES, JSON_LINES)
    first, second = map(json.loads, lines.splitlines())
    assert first == {"id": 7, **one}
    assert second == {**one, "explanation": [{"text": "good", "weight": 1.5}]}


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, JSON_LINES),
        ("*/*", JSON_LINES),
        (JSON, JSON),
        ("text/html, application/jsonlines;q=0.5, application/json;q=0.9", JSON),
        ("text/*", CSV),
        ("application/json;q=0, */*;q=0.1", JSON_LINES),
    ],
)
def test_accept_chooses_the_type(accept: str | None, answered: str) -> None:
    assert answer_type(accept, JSON_LINES) == answered


def test_a_type_that_is_not_there_is_refused() -> None:
    with pytest.raises(RequestError, match="accept application/jsonlines") as caught:
        answer_type("image/png, text/csv;q=0", CSV)
    assert caught.value.status == 406
