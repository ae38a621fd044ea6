"""Rows of CSV in the dialects of other programs, and the quotation marks that break them."""

import gzip
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
import zstandard

from processing.errors import FileError
from processing.ingestion import contract
from processing.ingestion.formats import raw_file
from processing.ingestion.rows import Defect, Lines, Record, Row, Skip, check, span

Read = Callable[[bytes], list[Any]]
LABELS = ("pos", "neg")


@pytest.fixture
def read() -> Read:
    """Read a file; every line must be accounted for."""
    rules = contract.load()

    def read(content: bytes) -> list[Any]:
        lines = Lines()
        with TemporaryDirectory() as folder:
            path = Path(folder) / "a"
            path.write_bytes(content)
            found = list(raw_file.read_rows(path, rules, lines))
        assert lines.read == lines.other + sum(map(span, found))
        return [check(item, rules) if isinstance(item, Record) else item for item in found]

    return read


def pairs(found: list[Any]) -> list[tuple[str, str]]:
    assert all(isinstance(item, Row) for item in found), found
    return [(row.text, row.label) for row in found]


PLAIN = [(f"Film number {i}", LABELS[i % 2]) for i in range(6)]


def joined(rows: list[tuple[str, str]], separator: str = ",", end: str = "\n") -> bytes:
    return end.join([f"text{separator}label", *(separator.join(row) for row in rows), ""]).encode()


READ: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    **{f"separator {separator!r}": (joined(PLAIN, separator), PLAIN) for separator in ",;\t|"},
    **{f"line ends {end!r}": (joined(PLAIN, ",", end), PLAIN) for end in ("\n", "\r\n", "\r")},
    **{
        f"{end!r} with {separator!r}": (joined(PLAIN, separator, end), PLAIN)
        for separator in ";\t|"
        for end in ("\r\n", "\r")
    },
    **{
        f"column {name}": (f"{name},label\na,pos\nb,neg\n".encode(), [("a", "pos"), ("b", "neg")])
        for name in (
            " text ",
            "Text",
            "TEXT",
            "review",
            "Review",
            "sentence",
            "content",
            "\ufefftext",
            ' "text"',
        )
    },
    **{
        f"label column {name}": (f"text,{name}\na,pos\nb,neg\n".encode(), [("a", "pos"), ("b", "neg")])
        for name in ("Label", "sentiment", "Sentiment", " category", "class", "TARGET")
    },
    "own name before an alias": (b"review,text,label,category\nx,a,pos,y\n", [("a", "pos")]),
    "semicolons with commas in texts": (
        b"text;label\na, b;pos\nc, d;neg\n",
        [("a, b", "pos"), ("c, d", "neg")],
    ),
    "quoted with semicolons": (b'"text";"label"\n"a; b";"pos"\n', [("a; b", "pos")]),
    "Excel's separator line": (b"sep=;\r\ntext;label\r\na;pos\r\n", [("a", "pos")]),
    "header again": (b"text,label\na,pos\ntext,label\nb,neg\n", [("a", "pos"), ("b", "neg")]),
    "header again, quoted": (b'text,label\na,pos\n"text","label"\nb,neg\n', [("a", "pos"), ("b", "neg")]),
    "header again, in capitals": (b"text,label\na,pos\nText,Label\nb,neg\n", [("a", "pos"), ("b", "neg")]),
    "header of an alias again": (b"review,class\na,pos\nreview,class\nb,neg\n", [("a", "pos"), ("b", "neg")]),
    "header again in another order": (
        b"text,label\na,pos\nlabel,text\nneg,b\n",
        [("a", "pos"), ("b", "neg")],
    ),
    "header again by other names": (
        b"text,label\na,pos\nreview,sentiment\nb,neg\nClass,Text\npos,c\n",
        [("a", "pos"), ("b", "neg"), ("c", "pos")],
    ),
    "header again with another column beside": (
        b"id,text,label\n1,a,pos\nsentiment,url,review\nneg,http://a,b\n",
        [("a", "pos"), ("b", "neg")],
    ),
    "a name of a column as a text or a label": (
        b"text,label\na,pos\nreview,pos\nb,sentiment\n",
        [("a", "pos"), ("review", "pos"), ("b", "sentiment")],
    ),
    "header again after a mark": (
        b"\xef\xbb\xbftext,label\na,pos\n\xef\xbb\xbftext,label\nb,neg\n",
        [("a", "pos"), ("b", "neg")],
    ),
    "quoted header again after a mark": (
        b'\xef\xbb\xbf"text","label"\n"a","pos"\n\xef\xbb\xbf"text","label"\n"b","neg"\n',
        [("a", "pos"), ("b", "neg")],
    ),
    "gzip members with headers": (
        gzip.compress(b"text,label\na,pos\n") + gzip.compress(b"text,label\nb,neg\n"),
        [("a", "pos"), ("b", "neg")],
    ),
    "skippable frames": (
        b"\x5f\x2a\x4d\x18\x03\0\0\0abc"
        + zstandard.compress(b"text,label\na,pos\n")
        + b"\x50\x2a\x4d\x18\0\0\0\0"
        + zstandard.compress(b"b,neg\n"),
        [("a", "pos"), ("b", "neg")],
    ),
    "large skippable frame": (
        b"\x50\x2a\x4d\x18\x10\x27\0\0" + bytes(10_000) + zstandard.compress(b"text,label\na,pos\n"),
        [("a", "pos")],
    ),
    "multi-line text": (
        b'text,label\n"one\ntwo\n\nthree",pos\nb,neg\n',
        [("one two  three", "pos"), ("b", "neg")],
    ),
    "multi-line text with commas": (
        b'text,label\na,pos\n"Well, I think so.\nYes, me too.\nRight, then",neg\nb,pos\n',
        [("a", "pos"), ("Well, I think so. Yes, me too. Right, then", "neg"), ("b", "pos")],
    ),
    "multi-line text after its label": (
        b'label,text\npos,"Well, I think so.\nYes, me too."\nneg,b\n',
        [("Well, I think so. Yes, me too.", "pos"), ("b", "neg")],
    ),
    "multi-line text with quotes": (
        b'text,label\n"He said ""no"",\nthen ""yes""",pos\n',
        [('He said "no", then "yes"', "pos")],
    ),
    "blank before a quoted cell": (
        b'text, label\n"a, b", "pos"\nc, "neg"\n',
        [("a, b", "pos"), ("c", "neg")],
    ),
    "blanks before a quoted text": (
        b'label,  text\npos,  "a, b"\nneg,  "c"\n',
        [("a, b", "pos"), ("c", "neg")],
    ),
    "blank before a multi-line cell": (
        b'label, text\npos, "a,\nb"\nneg, "c"\n',
        [("a, b", "pos"), ("c", "neg")],
    ),
    "blank inside a quoted cell": (b'label,text\npos," ""a"" b"\n', [(' "a" b', "pos")]),
    "quotes escaped by backslashes": (
        b'text,label\n"a \\"b\\", c",pos\nd,neg\n',
        [('a "b", c', "pos"), ("d", "neg")],
    ),
    "a backslash and a quote at the end": (
        b'text,label\n"a \\"b\\"",pos\n"c \\"",neg\n"d",pos\n',
        [('a "b"', "pos"), ('c "', "neg"), ("d", "pos")],
    ),
    "backslashes and all cells quoted": (
        b'"text","label"\n"a \\"","pos"\n"\\"b\\" c","neg"\n',
        [('a "', "pos"), ('"b" c', "neg")],
    ),
    "backslashes and tabs": (b'text\tlabel\n"\\"b\\" c"\tneg\n', [('"b" c', "neg")]),
    "backslashes of paths": (
        b'text,label\n"C:\\dir\\",pos\n"D:\\new",neg\n',
        [("C:\\dir\\", "pos"), ("D:\\new", "neg")],
    ),
    "backslashes of paths and quotes": (b'text,label\n"\\"C:\\dir\\\\\\"",pos\n', [('"C:\\dir\\"', "pos")]),
    "inches": (b"text,label\nhe is 5'10\",pos\nb,neg\n", [("he is 5'10\"", "pos"), ("b", "neg")]),
    "fastText": (b"__label__pos a film\n\n__label__neg , b, c\n", [("a film", "pos"), ("b, c", "neg")]),
    "Ground Truth": (
        b'{"source":"a","job":0,"job-metadata":{"class-name":"pos","type":"groundtruth/text-classification"}}\n',
        [("a", "pos")],
    ),
    "Prodigy's choice": (b'{"text":"a","options":[],"accept":["pos"],"answer":"accept"}\n', [("a", "pos")]),
    "JSON of other names": (
        b'{"Review":"a","sentiment":1.0}\n{"text":"b","LABEL":"1"}\n',
        [("a", "1"), ("b", "1")],
    ),
    "JSON of joined files": (
        b'\xef\xbb\xbf{"text":"a","label":true}\n\xef\xbb\xbf{"text":"b","label":"True"}\n',
        [("a", "true"), ("b", "true")],
    ),
    "JSON with CR": (
        b'{"text":"a","label":"pos"}\r{"text":"b","label":"neg"}\r',
        [("a", "pos"), ("b", "neg")],
    ),
}


@pytest.mark.parametrize(("content", "expected"), READ.values(), ids=READ)
def test_is_read(read: Read, content: bytes, expected: list[tuple[str, str]]) -> None:
    assert pairs(read(content)) == expected


GOOD = [f"{i},text {i},{LABELS[i % 2]}" for i in range(20)]
# A cell that a stray quotation mark opens ends in the last of these lines; the lines before it are swallowed.
STRAY = ("x,5'10\",pos", 'x,he said "no",neg', 'x,"quoted",neg', 'x,"a, b",neg', 'x,"""no"" said he",neg')


@pytest.mark.parametrize("start", [0, 5, 18])
@pytest.mark.parametrize("swallowed", [0, 1, 5])
@pytest.mark.parametrize("last", STRAY)
def test_each_line_that_a_stray_quote_swallows_is_bad(
    read: Read, start: int, swallowed: int, last: str
) -> None:
    inner = [f"s{i},swallowed {i},{LABELS[i % 2]}" for i in range(swallowed)]
    lines = [*GOOD[:start], 'o,"a stray one,pos', *inner, last, *GOOD[start:]]
    found = read("\n".join(["id,text,label", *lines, ""]).encode())
    rows = [item for item in found if isinstance(item, Row)]
    defects = [item for item in found if isinstance(item, Defect)]
    assert [row.id for row in rows] == [str(i) for i in range(20)]
    assert len(defects) == swallowed + 2
    first, end = start + 2, start + 3 + swallowed
    assert [defect.line for defect in defects] == list(range(first, end + 1))
    assert f"line {first} goes on until line {end}" in defects[0].reason


# Among swallowed rows, no line that is no good row itself hides the others.
ODD = [
    "",
    "text,label",
    "label,text",
    "so, so film,neg",
    "so so film,",
    "so so film,N/A",
    "film,rare",
    "FILM,POS",
]

OPENED_AND_CLOSED = {
    "text,label": ('"great film,pos', 'last film",neg'),
    "label,text": ('pos,"great film', 'neg,last film"'),
    "id,text,label": ('o,"great film,pos', 'p,last film",neg'),
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("columns", OPENED_AND_CLOSED)
@pytest.mark.parametrize("odd", ODD)
def test_a_swallowed_line_that_is_no_row_hides_no_others(
    read: Read, odd: str, columns: str, end: str
) -> None:
    def line(text: str, label: str) -> str:
        cells = {"id": text, "text": text, "label": label}
        return ",".join(cells[name] for name in columns.split(","))

    def rows(name: str) -> list[str]:
        return [line(f"{name} {i}", LABELS[i % 2]) for i in range(20)]

    first, last = OPENED_AND_CLOSED[columns]
    lines = [columns, *rows("a"), first, *rows("b"), odd, *rows("c"), last, *rows("d")]
    found = read(end.join([*lines, ""]).encode())
    assert sum(isinstance(item, Row) for item in found) == 40
    assert sum(isinstance(item, Defect) for item in found) == 42 + bool(odd)


def test_rows_of_labels_of_two_words_are_swallowed_at_the_start(read: Read) -> None:
    inner = ["mid film,rather bad", "", "mid, film,so so", "mid two,quite nice"]
    lines = ['"great film,very good', *inner, 'last film",not bad', "a,very good", "b,not bad"]
    found = read("\n".join(["text,label", *lines, ""]).encode())
    assert [type(item).__name__ for item in found] == ["Defect"] * 5 + ["Row"] * 2


def test_a_text_of_several_lines_may_name_a_label_in_one(read: Read) -> None:
    text = "Well, I think so.\nIn a word, pos\nAs they say.\nRight, then.\nYes"
    rows = "".join(f"a {i},{LABELS[i % 2]}\n" for i in range(20))
    found = read(f'text,label\n{rows}"{text}",neg\n'.encode())
    assert pairs(found)[-1] == (text.replace("\n", " "), "neg")


def test_a_quote_that_is_never_closed_names_both_lines(read: Read) -> None:
    with pytest.raises(FileError, match=r"line 3: not CSV: unexpected end of data at line 22"):
        read("\n".join(["id,text,label", "a,b,pos", 'o,"stray,pos', *GOOD[1:]]).encode())


def test_a_row_of_several_lines_and_too_few_columns_is_one_bad_row(read: Read) -> None:
    [row, defect, last] = read(b'id,text,label\n1,a,pos\n2,"one\n\ntwo"\n3,b,neg\n')
    assert (row.id, last.id) == ("1", "3")
    assert (defect.line, defect.last, defect.reason) == (3, 5, "2 columns, but the header has 3")


def test_the_rest_of_a_broken_text_is_no_row(read: Read) -> None:
    content = b'text,label\na,pos\nb,neg\n"He said "no"\nand left, then",pos\nc,neg\n'
    found = read(content)
    assert [type(item).__name__ for item in found] == ["Row", "Row", "Defect", "Defect", "Row"]


LINES = {
    "CSV": ("{0},{1}", ["text,label"]),
    "JSON Lines": ('{{"text": "{0}", "label": "{1}"}}', []),
    "fastText": ("__label__{1} {0}", []),
}


@pytest.mark.parametrize(("end", "other"), [("\n", "\r"), ("\r", "\n")])
@pytest.mark.parametrize("form", LINES)
def test_each_line_of_another_end_than_the_files_is_bad(read: Read, form: str, end: str, other: str) -> None:
    line, header = LINES[form]
    rows = [line.format(f"film {i}", LABELS[i % 2]) for i in range(20)]
    block = [line.format(f"block {i}", LABELS[i % 2]) for i in range(5)]
    content = end.join([*header, *rows, other.join(block), "", rows[0], ""])
    if end == "\r":  # only the first 64 kB decide which end is the file's
        content = content.replace("film 9", "film 9" + "x" * (raw_file.LINE_ENDS_BYTES + 1024), 1)
    found = read(content.encode())
    defects = [item for item in found if isinstance(item, Defect)]
    first = len(header) + 21
    assert [defect.line for defect in defects] == list(range(first, first + 5))
    assert "line ends of two kinds" in defects[0].reason
    assert sum(isinstance(item, Row) for item in found) == 21


def test_line_ends_within_a_value_are_of_any_kind(read: Read) -> None:
    content = [b'text,label\n"a\rb",pos\n', b'{"text": "a b",\r"label": "pos"}\n', b"__label__pos a\rb\n"]
    assert [pairs(read(one)) for one in content] == [[("a b", "pos")]] * 3


def test_rejected_answers_are_skipped(read: Read) -> None:
    found = read(
        b'{"text":"a","label":"pos","answer":"reject"}\n{"text":"b","label":"pos","answer":"ignore"}\n'
    )
    assert [type(item) for item in found] == [Skip, Skip]


@pytest.mark.parametrize("label", ["pos,great", "a,pos", "pos,", ",pos", "a,__label__pos"])
def test_a_comma_in_a_label_of_fasttext_makes_the_row_bad(read: Read, label: str) -> None:
    bad, tab, comma = read(f"__label__{label} film 1\n__label__pos\tfilm, 2\n__label__c ,d\n".encode())
    assert (bad.field, bad.reason.split(";")[0]) == ("label", f"a comma in the label '{label}'")
    assert pairs([tab, comma]) == [("film, 2", "pos"), (",d", "c")]


@pytest.mark.parametrize("start", ["__label__a __label__b", "__label__a , __label__b"])
def test_a_line_of_fasttext_has_one_label(read: Read, start: str) -> None:
    [bad] = read(f"{start} film\n".encode())
    assert bad.reason == "2 labels at the start of the line; one is needed"


PARQUET = [
    ("'a' AS text, 'pos' AS label", ("a", "pos")),
    ("'a' AS \" Text \", 'pos' AS Label", ("a", "pos")),
    ("'a' AS review, 'pos' AS sentiment", ("a", "pos")),
    ("encode('caf\u00e9') AS text, encode('pos') AS label", ("caf\u00e9", "pos")),
    ("'a' AS text, 1 AS label", ("a", "1")),
    ("'a' AS text, 1::HUGEINT AS label", ("a", "1")),
    ("'a' AS text, 1.0::DOUBLE AS label", ("a", "1")),
    ("'a' AS text, 1.0::FLOAT AS label", ("a", "1")),
    ("'a' AS text, 1.00::DECIMAL(5,2) AS label", ("a", "1")),
    ("'a' AS text, '1.0' AS label", ("a", "1")),
    ("'a' AS text, true AS label", ("a", "true")),
    ("'a' AS text, 'pos'::ENUM('pos', 'neg') AS label", ("a", "pos")),
    ("'a' AS text, 'pos' AS label, NULL::INTEGER AS split", ("a", "pos")),
    ("'a' AS text, 'pos' AS label, 'nan'::DOUBLE AS split", ("a", "pos")),
    ("'a' AS text, 'pos' AS label, NULL::VARCHAR[] AS id", ("a", "pos")),
    ("'a' AS text, 'pos' AS label, {'text': 'b', 'label': 'neg'} AS more", ("a", "pos")),
    ("'a' AS text, 'pos' AS label, [1, 2] AS more", ("a", "pos")),
]


@pytest.mark.parametrize(("columns", "expected"), PARQUET, ids=[columns for columns, _ in PARQUET])
def test_parquet_is_read(read: Read, tmp_path: Path, columns: str, expected: tuple[str, str]) -> None:
    file = tmp_path / "rows.parquet"
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT {columns}) TO '{file}' (FORMAT parquet)")
    assert pairs(read(file.read_bytes())) == [expected]


@pytest.mark.parametrize("field", ["label", "id"])
def test_parquet_with_names_that_differ_in_case_only(read: Read, tmp_path: Path, field: str) -> None:
    # DuckDB refuses to write such names, so one is changed in the file.
    file = tmp_path / "rows.parquet"
    columns = {"text": "'a'", "label": "'pos'", "id": "'1'"}
    wrong = f"'neg' AS {field[0]}_{field[2:]}"
    right = [f"{value} AS {name}" for name, value in columns.items()]
    contents = []
    for selected in ([*right, wrong], [wrong, *right]):
        with duckdb.connect() as database:
            database.execute(f"COPY (SELECT {', '.join(selected)}) TO '{file}' (FORMAT parquet)")
        old = f"{field[0]}_{field[2:]}".encode()
        contents.append(file.read_bytes().replace(old, field.upper().encode()))
    [row] = read(contents[0])
    assert (row.id, row.label) == ("1", "pos")
    with pytest.raises(FileError, match=f"the column {field} follows another .* '{field.upper()}'"):
        read(contents[1])


def test_class_labels_of_hugging_face_are_their_names(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    metadata = '{"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}'
    with duckdb.connect() as database:
        database.execute(
            "COPY (FROM (VALUES ('a', 0), ('b', 1), ('c', -1)) AS rows (text, label)) "
            f"TO '{file}' (FORMAT parquet, KV_METADATA {{huggingface: '{metadata}'}})"
        )
    first, second, unlabelled = read(file.read_bytes())
    assert pairs([first, second]) == [("a", "neg"), ("b", "pos")]
    assert unlabelled.reason == "no label"
