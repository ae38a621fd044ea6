"""JSON documents: their spelling, and reading and writing them in S3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from shared import uris

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Document(BaseModel):
    """A model whose fields are spelled in camelCase in JSON, as in the workflow's data."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def read_json(s3: S3Client, uri: str) -> dict[str, Any]:
    """Read a JSON object from S3."""
    bucket, key = uris.split(uri)
    document: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return document


def write_json(s3: S3Client, uri: str, body: bytes) -> str:
    """Write a document that is already encoded as JSON to S3, and return its URI."""
    bucket, key = uris.split(uri)
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return uri
