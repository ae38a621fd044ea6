"""Stanford's aclImdb, archive or folder, to one CSV with the columns id, text, label."""

import csv
import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import zstandard

from demo.errors import ArchiveError

NAME = "aclImdb.csv.zst"
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")
MAX_REVIEW_BYTES = 1 << 20
MAX_ARCHIVE_BYTES = 4 << 30
MAX_MEMBERS = 500_000
MAX_PADDING_BYTES = 1 << 20
COMPRESSION_LEVEL = 6
REVIEW = re.compile(r"^(?:[^/]+/)?((?:train|test)/(neg|pos)/\d+_\d+)\.txt$")


@dataclass(frozen=True)
class Review:
    """One labelled text; `id` is `train/neg/0_3`: split, label, number and stars."""

    id: str
    text: str
    label: str


def is_archive(path: Path) -> bool:
    """Tell whether the name is a gzipped tar archive's."""
    return path.name.endswith(ARCHIVE_SUFFIXES)


def find_folder(path: Path) -> Path | None:
    """Return the folder that holds train/ and test/: the path itself or its aclImdb/."""
    for folder in (path, path / "aclImdb"):
        if any((folder / split / "neg").is_dir() for split in ("train", "test")):
            return folder
    return None


def convert(source: Path, cache: Path) -> Path:
    """Write the source's reviews into the cache folder, once per content, and return the file."""
    target = cache / f"aclImdb-{_fingerprint(source)}.csv.zst"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        try:
            reviews = read_archive(source) if source.is_file() else read_folder(source)
            write_csv(reviews, part, source)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return target


def write_csv(reviews: Iterable[Review], target: Path, source: Path) -> None:
    """Stream the reviews into a compressed CSV."""
    count = 0
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    with (
        target.open("wb") as raw,
        compressor.stream_writer(raw) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "text", "label"])
        for review in reviews:
            writer.writerow([review.id, review.text, review.label])
            count += 1
    if count == 0:
        raise ArchiveError(
            f"{source} holds no reviews: expected files such as aclImdb/train/neg/0_3.txt. "
            "Give aclImdb_v1.tar.gz as Stanford publishes it, or the folder unpacked from it."
        )


def read_archive(path: Path) -> Iterator[Review]:
    """Yield the archive's reviews in its own order; nothing is unpacked to disk."""
    seen: set[str] = set()
    total = 0
    try:
        # gzip is opened apart: tarfile's own "r|gz" takes a stream cut short for the archive's end.
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for number, member in enumerate(archive):
                total += member.size
                if number >= MAX_MEMBERS or total > MAX_ARCHIVE_BYTES:
                    raise ArchiveError(
                        f"{path} unpacks to more than aclImdb holds: refused at {member.name!r}."
                    )
                identity = _check_member(path, member)
                if identity is None:
                    continue
                if identity in seen:
                    raise ArchiveError(f"{path} holds {member.name!r} twice: refused.")
                seen.add(identity)
                content = archive.extractfile(member)
                if content is None:
                    raise ArchiveError(f"{path}: {member.name!r} has no content: refused.")
                yield _review(identity, content.read(), f"{path}: {member.name}")
            # Only gzip's end carries the checksum, and tarfile stops reading before it.
            if len(unpacked.read(MAX_PADDING_BYTES)) == MAX_PADDING_BYTES:
                raise ArchiveError(f"{path} goes on after the archive's end: refused.")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ArchiveError(
            f"{path} cannot be read as a gzipped tar archive ({error}). "
            "It may be cut short: delete it and download it again."
        ) from error


def read_folder(folder: Path) -> Iterator[Review]:
    """Yield the reviews of an unpacked aclImdb, sorted by their path."""
    for path in _review_files(folder):
        match = REVIEW.match(path.relative_to(folder).as_posix())
        if not match:
            continue
        if path.is_symlink() or not path.is_file():
            raise ArchiveError(f"{path} is not a regular file: refused. Unpack the archive again.")
        _check_size(str(path), path.stat().st_size)
        yield _review(match[1], path.read_bytes(), str(path))


def _review_files(folder: Path) -> Iterator[Path]:
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            yield from sorted((folder / split / label).glob("*.txt"))


def _check_member(path: Path, member: tarfile.TarInfo) -> str | None:
    """Return the id of a review, None for what is left aside; refuse what no honest archive holds."""
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts or "\\" in member.name:
        raise ArchiveError(f"{path} holds a path that leaves its folder, {member.name!r}: refused.")
    match = REVIEW.match("/".join(parts))
    if not match:
        return None
    if not member.isreg():
        raise ArchiveError(f"{path}: {member.name!r} is not a regular file: refused.")
    _check_size(f"{path}: {member.name!r}", member.size)
    return match[1]


def _check_size(where: str, size: int) -> None:
    if size > MAX_REVIEW_BYTES:
        raise ArchiveError(f"{where} has {size:,} bytes; a review has at most {MAX_REVIEW_BYTES:,}: refused.")


def _review(identity: str, content: bytes, where: str) -> Review:
    try:
        return Review(identity, content.decode("utf-8"), identity.split("/")[1])
    except UnicodeDecodeError as error:
        raise ArchiveError(f"{where} is not UTF-8 text: byte at offset {error.start}.") from error


def _fingerprint(source: Path) -> str:
    """Name the content: an archive's bytes, a folder's file names, sizes and times."""
    if source.is_file():
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
    digest = hashlib.sha256()
    for path in _review_files(source):
        stat = path.lstat()
        digest.update(f"{path.relative_to(source)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]
