"""The data of the --data option is checked by the data contract before anything is deployed."""

from pathlib import Path

import pytest
from rich.console import Console

from demo import check, data
from demo.errors import InputError, SetupError

GOOD = "id,text,label\n1,fine,pos\n2,dull,neg\n"


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=200, force_terminal=False)


def dataset(folder: Path, **files: str | bytes) -> data.Dataset:
    made = []
    for name, content in files.items():
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        made.append(data.RawFile(path, name))
    return data.Dataset(tuple(made), str(folder))


def test_good_data_passes_without_a_word(tmp_path: Path, console: Console) -> None:
    given = dataset(tmp_path, a=GOOD, b='{"text": "a", "label": 1}\n', c="text\tlabel\na\tpos\n")
    assert check.check(given, console) == given
    assert console.export_text() == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty file"),
        ("id,text,label\n", "no rows under the header"),
        ("a fine film,pos\na dull film,neg\n", "the columns are a fine film,pos; text,label["),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8 text: byte 0x89 in the header"),
        (b"PK\x03\x04", "a zip archive or an Office document"),
        ("text,label\na,pos\nb,\n", "1 of the first 2 rows are bad; the first: line 3: empty label"),
        ('{"text": "a", "label": "pos", "answer": "reject"}\n', "all rows are skipped"),
    ],
)
def test_data_that_would_be_quarantined_is_refused(
    tmp_path: Path, console: Console, content: str | bytes, reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        check.check(dataset(tmp_path, a=content), console)
    assert f"{tmp_path}/a: {reason}" in str(caught.value)


def test_only_the_first_rows_are_read(tmp_path: Path, console: Console) -> None:
    rows = "".join(f"{number},text,pos\n" for number in range(1000))
    given = dataset(tmp_path, a=f"id,text,label\n{rows}" + '"'.join(["bad"] * 9))
    assert check.check(given, console) == given


def test_bad_rows_are_named(tmp_path: Path, console: Console) -> None:
    rows = "".join(f"{number},text,pos\n" for number in range(50))
    given = dataset(tmp_path, a=f"id,text,label\n{rows}x,,pos\n")
    assert check.check(given, console) == given
    assert "a: 1 of the first 51 rows are bad and will be quarantined; the first: line 52: empty" in (
        console.export_text()
    )


def test_a_bad_file_among_others_is_left_out(tmp_path: Path, console: Console) -> None:
    given = dataset(tmp_path, a=GOOD, b="")
    assert [file.name for file in check.check(given, console).files] == ["a"]
    assert f"Left out {tmp_path}/b: empty file" in console.export_text()


def test_a_contract_that_is_not_valid_is_named(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    monkeypatch.setattr(check, "PROCESSING", folder)
    with pytest.raises(SetupError, match=r"cannot be checked: .*No module named 'processing"):
        check.check(dataset(tmp_path, a=GOOD), console)


def test_a_file_that_is_gone_is_refused(tmp_path: Path, console: Console) -> None:
    given = dataset(tmp_path, a=GOOD)
    (tmp_path / "a").unlink()
    with pytest.raises(InputError, match="a: not readable: No such file"):
        check.check(given, console)
