"""Upload folders to S3 as .tar.gz archives, and unpack such archives."""

from __future__ import annotations

import shutil
import tarfile
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.platform.storage import TRANSFER, S3Uri, Storage

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_s3 import S3Client

GZIP_LEVEL = 6
ARCHIVE_MEMBERS = 100_000
SPARE_BYTES = 1 << 30  # minimum free disk space after an archive is unpacked


def upload_archive(storage: Storage, folder: Path, uri: S3Uri) -> None:
    """Upload a folder's content as one .tar.gz.

    Raises:
        ClientFailure: the object cannot be written.
    """
    archive = folder.parent / f".{uuid.uuid4().hex}.tar.gz"
    try:
        with tarfile.open(archive, "w:gz", compresslevel=GZIP_LEVEL) as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, arcname=path.name)
        storage.upload_file(archive, uri)
    finally:
        archive.unlink(missing_ok=True)


def fetch_archive(client: S3Client, uri: str, folder: Path) -> None:
    """Download a .tar.gz and unpack it into a folder.

    Raises:
        ClientError: the object cannot be downloaded.
        ValidationException: the object is not a .tar.gz, has members outside the folder, or is too large.
    """
    location = S3Uri.parse(uri)
    archive = folder.parent / f".{uuid.uuid4().hex}.tar.gz"
    try:
        client.download_file(location.bucket, location.key, str(archive), Config=TRANSFER)
        unpack(archive, folder, uri)
    finally:
        archive.unlink(missing_ok=True)


def unpack(archive: Path, folder: Path, name: str) -> None:
    """Unpack a .tar.gz into a folder; reject members outside it.

    Raises:
        ValidationException: the file is not a .tar.gz, has members outside the folder, or is too large.
    """
    room = shutil.disk_usage(folder).free - SPARE_BYTES
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for count, member in enumerate(tar, start=1):
                room -= member.size
                if room < 0 or count > ARCHIVE_MEMBERS:
                    raise ValidationException(
                        f"The archive {name} is too large: the limits are {ARCHIVE_MEMBERS} members, and "
                        f"{SPARE_BYTES} bytes that remain free on the disk"
                    )
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ValidationException(f"The archive {name} cannot be unpacked as .tar.gz: {error}") from error
