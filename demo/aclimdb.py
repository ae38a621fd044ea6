"""Recognize Stanford's aclImdb dataset and repack it if it is unpacked."""

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path

NAME = "aclImdb_v1.tar.gz"
PACKED_NAME = NAME.replace("_v1", "-packed")
ENTRIES = ("README", "imdb.vocab", "imdbEr.txt", "train", "test")  # of the published folder
SUFFIXES = (".tar.gz", ".tgz")
COMPRESSION_LEVEL = 6


def is_archive(path: Path) -> bool:
    """Return whether the name is that of a gzipped tar archive."""
    return path.name.endswith(SUFFIXES)


def find_folder(path: Path) -> Path | None:
    """Return the folder with train/ or test/, which is the path or its subfolder aclImdb; else None."""
    for folder in (path, path / "aclImdb"):
        if any((folder / split / "neg").is_dir() for split in ("train", "test")):
            return folder
    return None


def pack(folder: Path, cache: Path) -> Path:
    """Write the folder's reviews to an archive in the cache; the archive is reproducible.

    The pipeline reads Stanford's archive instead of 50,000 small files. Files that are not reviews are
    skipped. Reviews are not validated here, since the pipeline does that.
    """
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / PACKED_NAME
    part = target.with_name(target.name + ".part")
    try:
        with (
            part.open("wb") as raw,
            gzip.GzipFile("", "wb", COMPRESSION_LEVEL, raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
        ):
            for path in _reviews(folder):
                archive.add(path, f"aclImdb/{path.relative_to(folder).as_posix()}", filter=_anonymous)
        return part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _reviews(folder: Path) -> Iterator[Path]:
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            yield from sorted((folder / split / label).glob("*.txt"))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove owner and time, which would make the archive irreproducible."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
