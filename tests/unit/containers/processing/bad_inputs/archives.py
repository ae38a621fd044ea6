"""Tar archives, honest and not."""

import io
import tarfile

END = bytes(1024)


def member(
    name: str,
    content: bytes = b"text",
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
    size: int | None = None,
) -> bytes:
    """One member's header and content, padded; `size` is what the header claims."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content) if size is None else size
    header = info.tobuf(tarfile.USTAR_FORMAT)
    return header + content + bytes(-len(content) % 512)


def tar_of(files: dict[str, bytes]) -> bytes:
    """Regular files, without the archive's end."""
    return b"".join(member(name, content) for name, content in files.items())


def tar(*parts: bytes) -> bytes:
    """An archive of these parts."""
    return b"".join(parts) + END


def written_by_tarfile(files: dict[str, bytes], form: int = tarfile.GNU_FORMAT, **more: str) -> bytes:
    """An archive as Python's own writer makes it, with folders and, in PAX format, extended headers."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form, pax_headers=more) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            info.size, info.mtime = len(content), 1_300_000_000.5 if form == tarfile.PAX_FORMAT else 0
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()
