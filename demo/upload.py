"""Drop files under raw/, with the AWS CLI, unless the bucket holds them already."""

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
# Sizes that uploaders use; the CLI's default is 8 MiB.
PART_BYTES = (8 * MIB, 5 * MIB, 16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB)


@dataclass(frozen=True)
class Dropped:
    """An object that lies under raw/ now."""

    key: str
    etag: str


def drop(clients: Clients, stack: Stack, files: tuple[RawFile, ...], console: Console) -> tuple[Dropped, ...]:
    """Copy what the bucket does not hold yet; return the objects that were written."""
    written = []
    for file in files:
        key = PREFIX + file.name
        if not is_held(clients, stack.bucket, key, file.path):
            _copy(file.path, f"s3://{stack.bucket}/{key}", console)
            written.append(key)
    return tuple(held(clients, stack.bucket, key) for key in written)


def held(clients: Clients, bucket: str, key: str) -> Dropped:
    """Describe an object that lies in the bucket."""
    return Dropped(key, clients.s3.head_object(Bucket=bucket, Key=key)["ETag"].strip('"'))


def is_held(clients: Clients, bucket: str, key: str, path: Path) -> bool:
    """Tell whether the object has exactly the file's bytes.

    With SSE-KMS an ETag is no MD5: then nothing matches, and the file is copied again.
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
    """Return the ETags that S3 gives the file: its MD5, or that of its parts' MD5s and their number."""
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
            f"Copying {path} to {target} failed (exit code {error.returncode}); the AWS CLI says why above."
        ) from error


def aws_cli() -> str:
    """Return the AWS CLI beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("aws")
    found = str(beside) if beside.exists() else shutil.which("aws")
    if not found:
        raise SetupError("The AWS CLI (aws) is not installed: pip install awscli, or see aws.amazon.com/cli.")
    return found
