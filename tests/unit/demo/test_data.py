"""The data of the --data option, and the default data without it."""

import gzip
from pathlib import Path

import pytest
import zstandard
from rich.console import Console

from demo import data, download
from demo.errors import InputError


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=100, quiet=False, force_terminal=False)


def test_the_error_for_a_missing_path_suggests_another(tmp_path: Path, console: Console) -> None:
    (tmp_path / "reviews.csv").touch()
    with pytest.raises(
        InputError, match=r"review\.csv does not exist\. Did you mean .*reviews\.csv\?"
    ) as caught:
        data.get(tmp_path / "review.csv", console)
    assert caught.value.exit_code == 2


def test_an_unknown_file_type_is_rejected(tmp_path: Path, console: Console) -> None:
    (tmp_path / "reviews.xlsx").touch()
    with pytest.raises(InputError, match=r"reviews\.xlsx is neither .* Use aclImdb_v1"):
        data.get(tmp_path / "reviews.xlsx", console)


def test_an_empty_folder_is_rejected(tmp_path: Path, console: Console) -> None:
    with pytest.raises(InputError, match="contains no usable file"):
        data.get(tmp_path, console)


def test_the_tables_of_a_folder_are_used(tmp_path: Path, console: Console) -> None:
    row = "id,text,label\ntrain/neg/0_3,dull,neg\n"
    (tmp_path / "b.csv.zst").write_bytes(zstandard.compress(row.encode()))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(row.encode()))
    (tmp_path / ".hidden.csv").write_text(row)
    (tmp_path / "notes.txt").write_text("not data")
    found = data.get(tmp_path, console)
    assert [file.name for file in found.files] == ["a.csv.gz", "b.csv.zst"]
    assert found.reviews
    assert not found.synthetic


@pytest.mark.parametrize(
    ("name", "content", "reviews"),
    [
        ("mail.jsonl", '{"id": "1", "text": "hi", "label": "spam"}\n', False),
        ("imdb.jsonl", '{"id": "test/pos/1_9", "text": "hi", "label": "pos"}\n', True),
        ("empty.csv", "", False),
        ("list.json", "[1]\n", False),
    ],
)
def test_film_reviews_are_recognized_by_stanford_s_ids(
    tmp_path: Path, console: Console, name: str, content: str, reviews: bool
) -> None:
    (tmp_path / name).write_text(content)
    assert data.get(tmp_path / name, console).reviews is reviews


def test_stanford_s_archive_is_used_unchanged(tmp_path: Path, console: Console) -> None:
    archive = tmp_path / "aclImdb_v1.tar.gz"
    archive.write_bytes(b"as published")
    for path in (archive, tmp_path):
        found = data.get(path, console)
        assert found.files == (data.RawFile(archive, "aclImdb_v1.tar.gz"),)
        assert found.reviews


def test_an_unpacked_archive_is_repacked(tmp_path: Path, console: Console) -> None:
    review = tmp_path / "aclImdb/train/neg/0_3.txt"
    review.parent.mkdir(parents=True)
    review.write_text("dull")
    found = data.get(tmp_path, console, tmp_path / "cache")
    [file] = found.files
    assert (file.name, file.path.parent) == ("aclImdb-packed.tar.gz", tmp_path / "cache")
    assert found.reviews


def test_the_downloaded_archive_is_used_unchanged(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "fetch", lambda target, console: target)
    found = data.get(None, console, tmp_path)
    assert found.files == (data.RawFile(tmp_path / "aclImdb_v1.tar.gz", "aclImdb_v1.tar.gz"),)
    assert found.reviews
    assert not found.synthetic


def test_unreadable_tables_are_not_rejected(tmp_path: Path, console: Console) -> None:
    for name in ("noise.csv", "noise.csv.gz", "noise.csv.zst", "noise.jsonl", "noise.parquet"):
        (tmp_path / name).write_bytes(b"\x89\x00noise" * 9)
        assert data.get(tmp_path / name, console).files == (data.RawFile(tmp_path / name, name),)


def test_the_sample_replaces_an_unreachable_archive_and_is_marked(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(target: Path, console: Console) -> Path:
        raise download.Unreachable("no route")

    monkeypatch.setattr(download, "fetch", unreachable)
    found = data.get(None, console, tmp_path)
    assert found.synthetic
    assert found.files == (data.RawFile(data.SAMPLE, "synthetic-sample.csv"),)
    output = console.export_text()
    assert "Not reachable: no route" in output
    assert "SYNTHETIC" in output


def test_the_sample_as_data_option_is_marked(console: Console) -> None:
    found = data.get(data.SAMPLE, console)
    assert found.synthetic
    assert found.files[0].name == data.SAMPLE_NAME
