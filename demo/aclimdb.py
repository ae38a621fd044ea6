"""Stanford's aclImdb: told by its names, and packed again when it lies unpacked."""

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path

NAME = "aclImdb_v1.tar.gz"
SUFFIXES = (".tar.gz", ".tgz")
COMPRESSION_LEVEL = 6


def is_archive(path: Path) -> bool:
    """Tell whether the name is a gzipped tar archive's."""
    return path.name.endswith(SUFFIXES)


def find_folder(path: Path) -> Path | None:
    """Return the folder that holds train/ and test/: the path itself or its aclImdb/."""
    for folder in (path, path / "aclImdb"):
        if any((folder / split / "neg").is_dir() for split in ("train", "test")):
            return folder
    return None


def pack(folder: Path, cache: Path) -> Path:
    """Write the folder's reviews into an archive in the cache: the same files give the same bytes.

    The pipeline reads Stanford's archive, not 50,000 small files. Nothing is judged here: what is no
    review is left aside, and what is no good one is the pipeline's to refuse.
    """
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / NAME.replace("_v1", "-packed")
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
    """Leave out whose the file was and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
