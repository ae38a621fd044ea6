"""Read Stanford's aclImdb archive as a stream, without unpacking it to disk."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from tarfile import AREGTYPE, DIRTYPE, GNUTYPE_LONGLINK, GNUTYPE_LONGNAME, REGTYPE, XGLTYPE, XHDTYPE, TarInfo
from typing import BinaryIO

from processing.errors import FileError
from processing.ingestion.contract import Contract
from processing.ingestion.rows import Defect, Record

BLOCK_BYTES = 512
SKIPPED_BYTES = 1 << 16  # per read
EXTENSION_BYTES = 1 << 16  # maximum of an extended header
PADDING_BYTES = 1 << 20  # maximum after the archive's end
REVIEW = re.compile(r"^(?:[^/]+/)?((train|test)/(neg|pos)/[0-9]+_[0-9]+)\.txt$")
RENAMES = re.compile(rb"(?:^|\n)[0-9]+ (?:path|linkpath|size|GNU\.sparse[^=]*)=")
EARLY_END = "the archive ends too early; upload it again"

# TarInfo parses and validates headers. tarfile's own reader is not used: it accepts an archive that is cut
# short between two members, and reads an extended header of any size into memory.


def is_tar(head: bytes) -> bool:
    """Return whether the file is a tar archive, from its first bytes."""
    return head[257:262] == b"ustar"


def read_archive(stream: BinaryIO, contract: Contract) -> Iterator[Record | Defect]:
    """Yield the labelled reviews in the archive's order; skip anything else.

    Raises:
        FileError: The archive is damaged or cut short, a limit is exceeded, or a member is not allowed.
    """
    found = False
    for member in members(stream, contract.max_members):
        match = REVIEW.match(str(PurePosixPath(member.name))) if member.type != DIRTYPE else None
        if match is None:
            skip(stream, padded(member.size))
            continue
        found = True
        identity, split, label = match.groups()
        limit = contract.fields["text"].max_bytes
        if member.size > limit:
            skip(stream, padded(member.size))
            yield Defect(None, "text", f"text of {member.size:,} bytes; at most {limit:,}", identity)
            continue
        text = read_exactly(stream, padded(member.size))[: member.size].decode("utf-8", "surrogateescape")
        yield Record(None, {"id": identity, "text": text, "label": label, "split": split})
    if not found:
        raise FileError("the archive holds no reviews: names such as aclImdb/train/neg/0_3.txt are expected")


def members(stream: BinaryIO, limit: int) -> Iterator[TarInfo]:
    """Yield the headers of regular files and folders; the caller reads or skips their content."""
    count = 0
    while any(header := read_exactly(stream, BLOCK_BYTES)):
        count += 1
        if count > limit:
            raise FileError(f"an archive of more than {limit:,} members")
        try:
            member = TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise FileError(f"damaged tar archive: {error}") from error
        if member.type in (XHDTYPE, XGLTYPE):
            check_extension(stream, member)
        else:
            check_member(member)
            yield member
    check_end(stream)


def check_member(member: TarInfo) -> None:
    """Refuse members that a genuine aclImdb does not contain."""
    name = member.name.encode("utf-8", "backslashreplace").decode()
    if member.type in (GNUTYPE_LONGNAME, GNUTYPE_LONGLINK):
        raise FileError("the archive holds a name of more than 100 characters: refused")
    if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
        raise FileError(f"the archive holds a path that leaves its folder, '{name}': refused")
    if member.type not in (REGTYPE, AREGTYPE, DIRTYPE) or member.size < 0:
        raise FileError(f"'{name}' in the archive is neither a regular file nor a folder: refused")


def check_extension(stream: BinaryIO, member: TarInfo) -> None:
    """Skip an extended header; refuse one that renames or resizes a member."""
    if not 0 <= member.size <= EXTENSION_BYTES:
        raise FileError(f"the archive holds an extended header of {member.size:,} bytes: refused")
    if RENAMES.search(read_exactly(stream, padded(member.size))[: member.size]):
        raise FileError("the archive holds an extended header that renames or resizes a member: refused")


def check_end(stream: BinaryIO) -> None:
    """Read to the stream's end, where a compressed stream's checksum is; refuse anything but padding."""
    padding = read_exactly(stream, BLOCK_BYTES) + stream.read(PADDING_BYTES)
    if any(padding) or stream.read(1):
        raise FileError("the archive goes on after its end: refused")


def padded(size: int) -> int:
    """Round a size up to whole blocks."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def skip(stream: BinaryIO, size: int) -> None:
    """Skip bytes."""
    while size:
        size -= len(read_exactly(stream, min(size, SKIPPED_BYTES)))


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    """Read exactly this many bytes."""
    content = stream.read(size)
    if len(content) < size:
        raise FileError(EARLY_END)
    return content
