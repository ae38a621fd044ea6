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


def test_what_a_folder_holds_besides_is_named(tmp_path: Path, console: Console) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,pos\n")
    for number in range(7):
        (tmp_path / f"picture {number}.png").touch()
    (tmp_path / "more").mkdir()
    assert [file.name for file in data.get(tmp_path, console).files] == ["a.csv"]
    output = " ".join(console.export_text().split())
    assert "1 folder (more) and 7 files (picture 0.png, picture 1.png, picture 2.png" in output
    assert "picture 4.png, …). Used are aclImdb_v1" in output


def test_tables_in_folders_of_a_folder_are_not_searched(tmp_path: Path, console: Console) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train/a.csv").touch()
    with pytest.raises(
        InputError, match=r"no usable file\. It has 1 folder \(train\), which are not searched"
    ):
        data.get(tmp_path, console)


def test_tables_beside_an_unpacked_archive_are_named(tmp_path: Path, console: Console) -> None:
    for name in ("train/neg/0_3.txt", "README", "imdb.vocab", "mine.csv"):
        file = tmp_path / "aclImdb" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    found = data.get(tmp_path / "aclImdb", console, tmp_path / "cache", pack=False)
    assert (found.files, found.reviews) == ((), True)
    assert "1 file (mine.csv)" in console.export_text()
    assert not (tmp_path / "cache").exists()


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
