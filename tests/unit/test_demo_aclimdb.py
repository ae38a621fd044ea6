"""Archives and folders of reviews become one CSV, or are refused."""

import csv
import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from demo import aclimdb
from demo.errors import ArchiveError

REVIEWS = {
    "aclImdb/train/neg/0_3.txt": 'Dull, "so dull".',
    "aclImdb/train/pos/0_9.txt": "Lovely,\neven twice.",
    "aclImdb/test/pos/12_10.txt": "Très bien",
}


def archive(path: Path, members: dict[str, str | bytes], extra: list[tarfile.TarInfo] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra or []:
            tar.addfile(info)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open("rb") as raw:
        text = zstandard.ZstdDecompressor().stream_reader(raw).read().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def unpack(folder: Path, members: dict[str, str]) -> Path:
    for name, content in members.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode())
    return folder


def test_archive_becomes_rows_with_split_in_the_id(tmp_path: Path) -> None:
    members = {**REVIEWS, "aclImdb/README": "x", "aclImdb/train/unsup/1_0.txt": "no label"}
    source = archive(tmp_path / "aclImdb_v1.tar.gz", dict(members))
    assert rows(aclimdb.convert(source, tmp_path / "cache")) == [
        {"id": "train/neg/0_3", "text": 'Dull, "so dull".', "label": "neg"},
        {"id": "train/pos/0_9", "text": "Lovely,\neven twice.", "label": "pos"},
        {"id": "test/pos/12_10", "text": "Très bien", "label": "pos"},
    ]


def test_folder_gives_the_same_rows(tmp_path: Path) -> None:
    unpack(tmp_path, REVIEWS)
    folder = aclimdb.find_folder(tmp_path)
    assert folder == tmp_path / "aclImdb"
    found = rows(aclimdb.convert(folder, tmp_path / "cache"))
    assert {row["id"]: row["text"] for row in found} == {
        name.removeprefix("aclImdb/").removesuffix(".txt"): text for name, text in REVIEWS.items()
    }


def test_conversion_is_deterministic_and_cached_by_content(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar.gz", dict(REVIEWS))
    first, other = aclimdb.convert(source, tmp_path / "one"), aclimdb.convert(source, tmp_path / "two")
    assert first.read_bytes() == other.read_bytes()
    first.write_bytes(b"kept")
    assert aclimdb.convert(source, tmp_path / "one").read_bytes() == b"kept"
    archive(source, {**REVIEWS, "aclImdb/test/neg/1_1.txt": "new"})
    assert aclimdb.convert(source, tmp_path / "one") != first


@pytest.mark.parametrize("name", ["../train/neg/0_1.txt", "/train/neg/0_1.txt", "a/../../train/neg/0_1.txt"])
def test_paths_that_leave_are_refused(tmp_path: Path, name: str) -> None:
    source = archive(tmp_path / "a.tar.gz", {**REVIEWS, name: "x"})
    with pytest.raises(ArchiveError, match=r"leaves its folder.*refused"):
        aclimdb.convert(source, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_only_regular_files_are_reviews(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("aclImdb/train/neg/1_1.txt")
    info.type, info.linkname = kind, "/etc/passwd"
    source = archive(tmp_path / "a.tar.gz", dict(REVIEWS), [info])
    with pytest.raises(ArchiveError, match="not a regular file"):
        aclimdb.convert(source, tmp_path / "cache")


def test_oversize_review_is_refused(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar.gz", {"train/neg/0_1.txt": b"x" * (aclimdb.MAX_REVIEW_BYTES + 1)})
    with pytest.raises(ArchiveError, match="1,048,577 bytes"):
        aclimdb.convert(source, tmp_path / "cache")


@pytest.mark.parametrize(("bound", "value"), [("MAX_ARCHIVE_BYTES", 20), ("MAX_MEMBERS", 2)])
def test_total_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int) -> None:
    monkeypatch.setattr(aclimdb, bound, value)
    source = archive(tmp_path / "a.tar.gz", dict(REVIEWS))
    with pytest.raises(ArchiveError, match="more than aclImdb holds"):
        aclimdb.convert(source, tmp_path / "cache")


def test_review_that_comes_twice_is_refused(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar.gz", {**REVIEWS, "train/neg/0_3.txt": "again"})
    with pytest.raises(ArchiveError, match="twice"):
        aclimdb.convert(source, tmp_path / "cache")


@pytest.mark.parametrize("cut", [0, 40, 200, -8, -200])
def test_archive_cut_short_says_so(tmp_path: Path, cut: int) -> None:
    source = archive(tmp_path / "a.tar.gz", {f"train/neg/{n}_1.txt": f"review {n} " * n for n in range(200)})
    source.write_bytes(source.read_bytes()[:cut])
    with pytest.raises(ArchiveError, match="download it again"):
        aclimdb.convert(source, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_archive_without_reviews_is_refused(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar.gz", {"holiday/photo.txt": "x"})
    with pytest.raises(ArchiveError, match="holds no reviews"):
        aclimdb.convert(source, tmp_path / "cache")


def test_review_that_is_not_text_is_named(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar.gz", {"aclImdb/train/neg/7_2.txt": b"ok \x89"})
    with pytest.raises(ArchiveError, match=r"train/neg/7_2\.txt is not UTF-8 text: byte at offset 3"):
        aclimdb.convert(source, tmp_path / "cache")


def test_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    unpack(tmp_path, REVIEWS)
    (tmp_path / "aclImdb/train/neg/9_1.txt").symlink_to("/etc/passwd")
    with pytest.raises(ArchiveError, match="not a regular file"):
        aclimdb.convert(tmp_path / "aclImdb", tmp_path / "cache")
