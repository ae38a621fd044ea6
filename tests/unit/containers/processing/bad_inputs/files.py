"""Files that are quarantined whole, each with its expected reason."""

import gzip
import tarfile
from typing import NamedTuple

import zstandard

from tests.unit.containers.processing.bad_inputs.archives import END, member, tar, tar_of, written_by_tarfile

LONG = b"a" * 9_999
HEADER = b"id,text,label\n"
GOOD = HEADER + b"".join(b"%d,text %d,pos\n" % (i, i) for i in range(1000))
REVIEW = member("aclImdb/train/pos/0_9.txt", b"a good film " * 100)


class BadFile(NamedTuple):
    """A file, and how the reason begins; `rows` are those read before it was rejected."""

    content: bytes
    reason: str
    rows: int | None = None


def renamed(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    return tar(REVIEW, member(name, b"", kind, link))


FILES = {
    "empty": BadFile(b"", "empty file", 0),
    "blank": BadFile(b" \n\n", "empty file", 0),
    "empty gzip": BadFile(gzip.compress(b""), "empty file", 0),
    "header alone": BadFile(HEADER, "no rows under the header", 0),
    "a picture": BadFile(b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8 text: byte 0x89 in the header", 0),
    "random bytes": BadFile(bytes(range(128, 256)) * 40, "not UTF-8 text: byte 0x80 in the header", 0),
    "only NULs": BadFile(bytes(5000), "not text: NUL byte in the header", 0),
    "UTF-16": BadFile(HEADER.decode().encode("utf-16"), "UTF-16 text; save it as UTF-8", 0),
    "UTF-16 without a mark": BadFile(
        HEADER.decode().encode("utf-16-le"), "not text: NUL byte in the header", 0
    ),
    "Latin-1 throughout": BadFile(
        HEADER + b"".join(b"%d,caf\xe9 %d,pos\n" % (i, i) for i in range(10)),
        "10 of 10 rows are bad, more than 10%; the first: line 2: text is not UTF-8: byte 0xe9",
        10,
    ),
    "a zip archive": BadFile(b"PK\x03\x04" + bytes(100), "a zip archive or an Office document", 0),
    "bzip2": BadFile(b"BZh91AY&SY", "bzip2 data; use gzip or Zstandard", 0),
    "xz": BadFile(b"\xfd7zXZ\0\0", "xz data; use gzip or Zstandard", 0),
    "PDF": BadFile(b"%PDF-1.7\n", "a PDF document", 0),
    "gzip in gzip": BadFile(gzip.compress(gzip.compress(GOOD)), "compressed twice", 0),
    "semicolons, but other columns": BadFile(
        b"id;body text;label\n1;a;pos\n", "the columns are id;body text;label; text,label[", 0
    ),
    "semicolons or vertical bars": BadFile(
        b"text;label;x|text|label\na;pos;b\n", "the header can be read with semicolons and vertical bars", 0
    ),
    "only text in semicolons": BadFile(
        b"id;text;stars\n1;a;5\n",
        "the columns are id;text;stars; text,label[,id,split] are needed, each once; declare another name in "
        "the aliases of [fields.text] or [fields.label] of contract.toml. It looks separated by semicolons",
        0,
    ),
    "two candidates for the text": BadFile(
        b"review,Content,label\na,b,pos\n", "the columns 'review' and 'Content' could each be the text", 0
    ),
    "two spellings of the label": BadFile(
        b"text,Label,LABEL\na,b,pos\n", "the columns 'Label' and 'LABEL' could each be the label", 0
    ),
    "two names in JSON": BadFile(
        b'{"review": "a", "content": "b", "label": "pos"}\n', "the names 'review' and 'content' could each", 0
    ),
    "Label Studio": BadFile(
        b'[{"id": 1, "annotations": [], "data": {"text": "a"}}]',
        "a JSON array; write JSON Lines, one object per "
        "line; it looks like Label Studio's tasks as JSON; export them as CSV",
        0,
    ),
    "Label Studio by lines": BadFile(
        b'{"id": 1, "annotations": [], "data": {"text": "a"}}\n', "Label Studio's tasks as JSON; export", 0
    ),
    "references of Ground Truth": BadFile(
        b'{"source-ref": "s3://a/b.txt", "job": 0}\n', "a Ground Truth manifest of references", 0
    ),
    "all rejected": BadFile(
        b'{"text": "a", "label": "pos", "answer": "reject"}\n',
        "all 1 rows are skipped: the annotator's answer",
        1,
    ),
    "one stray quote swallows rows": BadFile(
        HEADER + b'1,a,pos\n2,"b,neg\n3,c,pos\n4,d,neg\n5,5\'10",pos\n6,f,neg\n',
        "4 of 6 rows are bad, more than 10%; the first: line 3: rows in one cell: a quote opened in line 3 "
        "goes on until line 6",
        6,
    ),
    "a column twice": BadFile(b"id,text,text,label\n1,a,b,pos\n", "the columns are id,text,text,label", 0),
    "no label column": BadFile(b"id,text\n1,a\n", "the columns are id,text; text,label", 0),
    "no header": BadFile(b"1,a good film,pos\n2,a bad film,neg\n", "the columns are 1,a good film,pos", 0),
    "unclosed quote": BadFile(
        HEADER + b'1,a,pos\n2,"a,pos\n3,b,neg\n', "line 3: not CSV: unexpected end of data", 1
    ),
    "unclosed quote in a large file": BadFile(
        HEADER + b'1,a,pos\n2,"' + b"\n".join([LONG] * 900),
        "line 3: a row of more than 8,388,608 bytes",
        1,
    ),
    "unclosed quote in the header": BadFile(b'id,"text,label\n', "line 1: not CSV: unexpected end", 0),
    "bad header": BadFile(b'id,"text" x,label\n1,a,pos\n', "line 1: the header is not CSV", 0),
    "a line without end": BadFile(
        zstandard.compress(b"text,label," + b"a" * (9 << 20)), "line 1: a row of more than 8,388,608", 0
    ),
    "ragged throughout": BadFile(
        HEADER + b"1,a,pos\n" + b"1,a\n" * 9,
        "9 of 10 rows are bad, more than 10%; the first: line 3: 2",
        10,
    ),
    "the label is the text": BadFile(
        HEADER + b"".join(b"%d,pos,text %d\n" % (i, i) for i in range(1000)),
        "more than 100 different labels: the wrong column?",
        101,
    ),
    "a JSON array": BadFile(b'[{"id": "1"}]', "a JSON array; write JSON Lines", 0),
    "pretty JSON": BadFile(b'{\n  "text": "a",\n  "label": "pos"\n}\n', "4 of 4 rows are bad", 4),
    "gzip cut short": BadFile(gzip.compress(GOOD)[:-2000], "damaged gzip data: Compressed file ended"),
    "gzip without its end": BadFile(gzip.compress(GOOD)[:-8], "damaged gzip data", 1000),
    "gzip of a wrong checksum": BadFile(
        gzip.compress(GOOD)[:-8] + b"12345678", "damaged gzip data: CRC check failed", 1000
    ),
    "gzip with garbage after it": BadFile(gzip.compress(GOOD) + b"garbage", "damaged gzip data: Not a"),
    "zstd cut short": BadFile(zstandard.compress(GOOD)[:-3], "damaged zstd data: the file ends too early"),
    "zstd with garbage after it": BadFile(zstandard.compress(GOOD) + b"garbage", "damaged zstd data"),
    "a gzip bomb": BadFile(
        gzip.compress(HEADER + b"".join([b"1," + LONG + b",pos\n"] * 200)), "more than 1,000,000 bytes"
    ),
    "a zstd bomb": BadFile(zstandard.compress((b" " * 999 + b"\n") * 9_999), "more than 1,000,000 bytes", 0),
    "no Parquet": BadFile(b"PAR1" + bytes(200), "not readable as Parquet", 0),
    "an empty archive": BadFile(tar(bytes(9216)), "not text: NUL byte in the header", 0),
    "archive without reviews": BadFile(tar_of({"README": b"hello"}) + END, "the archive holds no reviews", 0),
    "unlabelled reviews alone": BadFile(
        tar_of({"aclImdb/train/unsup/0_0.txt": b"text"}) + END, "the archive holds no reviews", 0
    ),
    "archive without its end": BadFile(REVIEW, "the archive ends too early", 1),
    "archive cut in a member": BadFile((REVIEW + END)[:700], "the archive ends too early", 0),
    "archive cut in a header": BadFile(REVIEW + REVIEW[:100], "the archive ends too early", 1),
    "archive.tar.gz cut short": BadFile(
        gzip.compress(tar(*[REVIEW] * 99))[:-12], "damaged gzip data: Compressed file ended"
    ),
    "member of a false size": BadFile(
        tar(member("aclImdb/train/pos/0_9.txt", b"a", size=700), REVIEW),
        "damaged tar archive",
        1,
    ),
    "archive of a wrong checksum": BadFile(REVIEW + b"x" + REVIEW[1:] + END, "damaged tar archive", 1),
    "absolute path": BadFile(renamed("/etc/passwd"), "the archive holds a path that leaves its folder", 1),
    "path upwards": BadFile(
        renamed("aclImdb/../../x.txt"),
        "the archive holds a path that leaves its folder",
        1,
    ),
    "Windows path": BadFile(renamed("..\\x.txt"), "the archive holds a path that leaves its folder", 1),
    "symbolic link": BadFile(
        renamed("aclImdb/train/pos/1_9.txt", tarfile.SYMTYPE, "/etc/passwd"),
        "'aclImdb/train/pos/1_9.txt' in the archive is neither a regular file nor a folder",
        1,
    ),
    "hard link": BadFile(renamed("x", tarfile.LNKTYPE, "/etc/passwd"), "'x' in the archive is neither", 1),
    "device": BadFile(renamed("null", tarfile.CHRTYPE), "'null' in the archive is neither", 1),
    "pipe": BadFile(renamed("pipe", tarfile.FIFOTYPE), "'pipe' in the archive is neither", 1),
    "renaming header": BadFile(
        tar(member("x", b"20 path=/etc/passwd\n", tarfile.XHDTYPE), REVIEW),
        "the archive holds an extended header that renames or resizes a member",
        0,
    ),
    "long name": BadFile(
        written_by_tarfile({"aclImdb/" + "a" * 200: b""}), "the archive holds a name of more than 100", 0
    ),
    "huge extended header": BadFile(
        tar(member("x", b"", tarfile.XHDTYPE, size=1 << 30), REVIEW),
        "the archive holds an extended header",
        0,
    ),
    "too many members": BadFile(
        tar(*[member(f"aclImdb/{i}", b"") for i in range(1001)]), "an archive of more than 1,000 members", 0
    ),
    "archive of much too large a member": BadFile(
        tar(member("aclImdb/README", bytes(2_000_000)), REVIEW),
        "more than 1,000,000 bytes",
        0,
    ),
    "something after an archive's end": BadFile(tar(REVIEW) + REVIEW, "the archive goes on after its end", 1),
}
