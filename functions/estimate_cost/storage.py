"""JSON documents in S3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def read_json(s3: S3Client, uri: str) -> dict[str, Any]:
    """Reads a document."""
    bucket, key = split(uri)
    document: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return document


def write_json(s3: S3Client, uri: str, content: object) -> str:
    """Writes a document and returns its URI."""
    bucket, key = split(uri)
    body = json.dumps(content, indent=2).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return uri


def split(uri: str) -> tuple[str, str]:
    """An S3 URI's bucket and key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
