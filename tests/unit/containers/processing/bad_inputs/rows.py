"""Files of which one row is bad; the others are ingested."""

import json
from typing import Any, NamedTuple

from tests.unit.containers.processing.bad_inputs.archives import tar, tar_of

GOOD_ROWS = 20
HEADER = b"id,text,label,split\n"


class BadRow(NamedTuple):
    """A file whose last row is bad: the field at fault and the reason."""

    content: bytes
    field: str | None
    reason: str


def in_csv(row: bytes, field: str | None, reason: str) -> BadRow:
    good = b"".join(b"%d,text %d,pos,train\n" % (i, i) for i in range(GOOD_ROWS))
    return BadRow(HEADER + good + row + b"\n", field, reason)


def in_json(row: bytes | dict[str, Any], field: str | None, reason: str) -> BadRow:
    good = [{"id": str(i), "text": f"text {i}", "label": "pos"} for i in range(GOOD_ROWS)]
    line = json.dumps(row).encode() if isinstance(row, dict) else row
    return BadRow(b"".join(json.dumps(item).encode() + b"\n" for item in good) + line + b"\n", field, reason)


def in_archive(name: str, content: bytes, field: str | None, reason: str) -> BadRow:
    good = {f"aclImdb/train/pos/{i}_9.txt": b"text %d" % i for i in range(GOOD_ROWS)}
    return BadRow(tar(tar_of(good), tar_of({name: content})), field, reason)


ROWS = {
    "a column too few": in_csv(b"x,text,pos", None, "3 columns, but the header has 4"),
    "a column too many": in_csv(b"x,a,b,pos,train", None, "5 columns, but the header has 4"),
    "no comma after a quote": in_csv(b'x,"a" b,pos,train', None, "not CSV: ',' expected after '\"'"),
    "old Mac line end": in_csv(b"x,a\rb,pos,train", None, "not CSV: new-line character seen in unquoted"),
    "Latin-1 text": in_csv(b"x,caf\xe9,pos,train", "text", "text is not UTF-8: byte 0xe9"),
    "Latin-1 label": in_csv(b"x,text,\xe9,train", "label", "label is not UTF-8: byte 0xe9"),
    "overlong UTF-8": in_csv(b"x,\xc0\xaf,pos,train", "text", "text is not UTF-8: byte 0xc0"),
    "a surrogate in UTF-8": in_csv(b"x,\xed\xa0\xbd,pos,train", "text", "text is not UTF-8: byte 0xed"),
    "NUL in a text": in_csv(b"x,a\0b,pos,train", "text", "text holds a NUL character"),
    "NUL in an id": in_csv(b"x\0,text,pos,train", "id", "id holds a NUL character"),
    "empty text": in_csv(b"x, ,pos,train", "text", "empty text"),
    "empty label": in_csv(b"x,text,,train", "label", "empty label"),
    "long label": in_csv(b"x,text," + b"p" * 300 + b",train", "label", "label of 300 characters"),
    "long id": in_csv(b"i" * 513 + b",text,pos,train", "id", "id of 513 characters; at most 512"),
    "id of a line break": in_csv(b'"x\ny",text,pos,train', "id", "a line break in the id"),
    "unknown split": in_csv(
        b"x,text,pos,dev", "split", "unknown split 'dev'; use test or train or validation"
    ),
    "text over 350,000 bytes": in_csv(
        b"x," + b"a" * 350_001 + b",pos,train", "text", "text of 350,001 characters; at most 350,000"
    ),
    "text of too many bytes": in_csv(
        b"x," + "🎬".encode() * 100_000 + b",pos,train", "text", "text of 400,000 bytes; at most 350,000"
    ),
    "second row of an id": in_csv(b"7,another,pos,train", "id", "duplicate id"),
    "same text without ids, another label": in_csv(
        b",text,pos,train\n,text,neg,train",
        "label",
        "the text has the label 'pos' in line 22 and 'neg' here (line 23)",
    ),
    "null word for a label": in_csv(b"x,text,NULL,train", "label", "'NULL' stands for no label"),
    "fraction for a label": in_csv(b"x,text,0.5,train", "label", "label is not of type integer or string"),
    "label of invisible characters": in_csv("x,text,\u200b,train".encode(), "label", "empty label"),
    "several accepted choices": in_json(
        {"text": "a", "accept": ["pos", "neg"], "answer": "accept"}, None, "2 labels are accepted"
    ),
    "no JSON": in_json(b"nonsense", None, "not JSON: Expecting value"),
    "JSON cut short": in_json(b'{"id": "x", "text": "a', None, "not JSON: Invalid control"),
    "a JSON list": in_json(b"[1]", None, "not a JSON object"),
    "a JSON number": in_json(b"5", None, "not a JSON object"),
    "two objects a line": in_json(b'{"id": "x"} {"id": "y"}', None, "not JSON: Extra data"),
    "a name twice": in_json(
        b'{"id": "x", "text": "a", "text": "b", "label": "pos"}', None, "not JSON: 'text' is repeated"
    ),
    "deep JSON": in_json(b'{"id":' * 40 + b"1" + b"}" * 40, None, "JSON of a depth of more than 32"),
    "endless JSON": in_json(b'{"id":' + b"[" * 100_000, None, "JSON of a depth of more than 32"),
    "Latin-1 JSON": in_json(b'{"text": "caf\xe9", "label": "pos"}', None, "not UTF-8: byte 0xe9"),
    "a control character in JSON": in_json(
        b'{"text": "a\x01", "label": "pos"}', None, "not JSON: Invalid control character"
    ),
    "a number of too many digits": in_json(
        b'{"id": ' + b"1" * 5000 + b"}", None, "not JSON: Exceeds the limit"
    ),
    "a line of 9 MB": in_json(
        b'{"text": "' + b"a" * 9_000_000 + b'"}', None, "a line of more than 8,388,608 bytes"
    ),
    "half a surrogate pair": in_json(
        b'{"text": "\\ud83d", "label": "pos"}', "text", "text holds half a surrogate pair"
    ),
    "NUL in JSON": in_json(b'{"text": "\\u0000", "label": "pos"}', "text", "text holds a NUL character"),
    "text is null": in_json({"id": "x", "text": None, "label": "pos"}, "text", "no text"),
    "no label in JSON": in_json({"id": "x", "text": "a"}, "label", "no label"),
    "text is a number": in_json({"text": 5, "label": "pos"}, "text", "text is not of type string"),
    "id is true": in_json(
        {"id": True, "text": "a", "label": "pos"}, "id", "id is not of type integer or string"
    ),
    "label is a fraction": in_json({"text": "a", "label": 0.5}, "label", "label is not of type integer or"),
    "label is an object": in_json({"text": "a", "label": {}}, "label", "label is not of type integer or"),
    "huge review": in_archive(
        "aclImdb/test/neg/1_1.txt", b"a" * 400_000, "text", "text of 400,000 bytes; at most 350,000"
    ),
    "Latin-1 review": in_archive(
        "aclImdb/test/neg/1_1.txt", b"caf\xe9", "text", "text is not UTF-8: byte 0xe9"
    ),
    "empty review": in_archive("aclImdb/test/neg/1_1.txt", b"", "text", "empty text"),
    "review of NULs": in_archive("aclImdb/test/neg/1_1.txt", bytes(600), "text", "text holds a NUL"),
    "a review twice": in_archive("aclImdb/train/pos/3_9.txt", b"another", "id", "duplicate id"),
}
