"""An unpacked aclImdb is repacked into a reproducible archive."""

import os
import tarfile
from pathlib import Path

import pytest

from demo import aclimdb

REVIEWS = {
    "train/neg/0_3.txt": b'Dull, "so dull".',
    "train/pos/0_9.txt": b"Lovely,\neven twice.",
    "test/pos/12_10.txt": "Très bien".encode(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {**REVIEWS, "train/unsup/1_0.txt": b"no label", "README": b"x"}.items():
        target = tmp_path / "aclImdb" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return tmp_path / "aclImdb"


def test_the_folder_is_found_by_its_content(folder: Path) -> None:
    assert aclimdb.find_folder(folder) == folder
    assert aclimdb.find_folder(folder.parent) == folder
    assert aclimdb.find_folder(folder / "train") is None


def test_the_reviews_are_packed_unchanged(folder: Path, tmp_path: Path) -> None:
    packed = aclimdb.pack(folder, tmp_path / "cache")
    with tarfile.open(packed) as archive:
        found = {member.name: archive.extractfile(member) for member in archive}
        assert {name: file.read() for name, file in found.items() if file} == {
            f"aclImdb/{name}": content for name, content in REVIEWS.items()
        }
    assert list((tmp_path / "cache").iterdir()) == [packed]


def test_the_archive_is_reproducible(folder: Path, tmp_path: Path) -> None:
    first = aclimdb.pack(folder, tmp_path / "one").read_bytes()
    for path in folder.rglob("*.txt"):
        os.utime(path, (1, 1))
    assert aclimdb.pack(folder, tmp_path / "two").read_bytes() == first
    (folder / "train/neg/0_3.txt").write_text("Other")
    assert aclimdb.pack(folder, tmp_path / "two").read_bytes() != first


def test_a_link_is_packed_as_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "train/neg/9_1.txt").symlink_to("/etc/passwd")
    with tarfile.open(aclimdb.pack(folder, tmp_path / "cache")) as archive:
        assert archive.getmember("aclImdb/train/neg/9_1.txt").issym()
