"""Upload files to raw/ with the AWS CLI, except those that the bucket already contains."""

import hashlib
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError
from rich.console import Console

from demo.data import RawFile
from demo.errors import RunError, SetupError
from demo.stack import Clients, Stack

PREFIX = "raw/"
MIB = 1 << 20
# Common part sizes of multipart uploads; the CLI's default is 8 MiB.
PART_BYTES = (8 * MIB, 5 * MIB, 16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB)


@dataclass(frozen=True)
class Uploaded:
    """An object under raw/."""

    key: str
    etag: str


def upload(
    clients: Clients, stack: Stack, files: tuple[RawFile, ...], console: Console
) -> tuple[Uploaded, ...]:
    """Upload the files that the bucket does not contain and return the written objects."""
    written = []
    for file in files:
        key = PREFIX + file.name
        if not has_content(clients, stack.bucket, key, file.path):
            _copy(file.path, f"s3://{stack.bucket}/{key}", console)
            written.append(key)
    return tuple(describe(clients, stack.bucket, key) for key in written)


def describe(clients: Clients, bucket: str, key: str) -> Uploaded:
    """Return an object's key and ETag."""
    return Uploaded(key, clients.s3.head_object(Bucket=bucket, Key=key)["ETag"].strip('"'))


def has_content(clients: Clients, bucket: str, key: str, path: Path) -> bool:
    """Return whether the object has exactly the file's content.

    With SSE-KMS, an ETag is not an MD5. Then this returns False and the file is uploaded again.
    """
    try:
        head = clients.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            return False
        raise
    size = path.stat().st_size
    return head["ContentLength"] == size and head["ETag"].strip('"') in etags(path, head["ETag"])


def etags(path: Path, like: str) -> set[str]:
    """Return the possible ETags of the file, in the format of `like`.

    An ETag is the MD5 of the content or, after a multipart upload, the MD5 of the parts' MD5s with the number
    of parts.
    """
    _, dash, parts = like.strip('"').partition("-")
    if not dash:
        with path.open("rb") as file:
            return {hashlib.file_digest(file, _md5).hexdigest()}
    size = path.stat().st_size
    return {_multipart(path, part) for part in PART_BYTES if max(1, -(-size // part)) == int(parts)}


def _multipart(path: Path, part: int) -> str:
    digests = []
    with path.open("rb") as file:
        while chunk := file.read(part):
            digests.append(_md5(chunk).digest())
    return f"{_md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def _md5(content: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(content, usedforsecurity=False)


def _copy(path: Path, target: str, console: Console) -> None:
    command = ["aws", "s3", "cp", str(path), target]
    if not console.is_terminal:
        command.append("--no-progress")
    console.print(f"[bold]$ {shlex.join(command)}[/]", soft_wrap=True)
    try:
        subprocess.run([aws_cli(), *command[1:]], check=True)
    except subprocess.CalledProcessError as error:
        raise RunError(
            f"Copying {path} to {target} failed (exit code {error.returncode}): see the AWS CLI's output."
        ) from error


def aws_cli() -> str:
    """Return the path of the AWS CLI in this Python's environment or on PATH."""
    own = Path(sys.executable).with_name("aws")
    found = str(own) if own.exists() else shutil.which("aws")
    if not found:
        raise SetupError("The AWS CLI (aws) is not installed: pip install awscli, or see aws.amazon.com/cli.")
    return found
