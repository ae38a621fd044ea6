"""Read S3 objects by URI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def split(uri: str) -> tuple[str, str]:
    """Return the bucket and the key or prefix of an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def read(s3: S3Client, uri: str) -> bytes:
    """Return the object's content.

    Raises:
        ClientError: The object does not exist or cannot be read.
    """
    bucket, key = split(uri)
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
