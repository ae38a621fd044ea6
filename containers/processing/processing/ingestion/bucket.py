"""Read the raw objects from their bucket, each as its own answer: the file, or why there is none.

SageMaker can download them before the job starts (a manifest as input). That is refused: one object that is
missing or may not be read fails the whole job (docs/decisions/0020).
"""

import time
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from processing.errors import ReadError, UnreadableError, VanishedError
from processing.ingestion.plan import Source

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 1 << 20
MAX_ATTEMPTS = 5  # consecutive ones that read nothing
PAUSE_S = 1.0
PROBED = 10  # other objects that are tried, to find out whether one object is denied or all are
GONE = ("404", "NoSuchKey")
REPLACED = ("412", "PreconditionFailed")
ARCHIVED = "InvalidObjectState"
# The request or the role as a whole is at fault.
GENERAL = ("NoSuchBucket", "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
# S3 or KMS is busy, or the connection slow; KMS's codes have a prefix, and the status may be 400.
TRANSIENT = (
    "BandwidthLimitExceeded",
    "InternalError",
    "InternalException",
    "InternalFailure",
    "KMSInternalException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "ServiceUnavailable",
    "SlowDown",
)
TRANSIENT_PARTS = ("Throttl", "Timeout", "TooManyRequests", "RequestLimitExceeded")


def connect(connections: int) -> "S3Client":
    """Create an S3 client."""
    config = Config(max_pool_connections=connections, retries={"mode": "standard", "total_max_attempts": 8})
    return boto3.client("s3", config=config)


class Bucket:
    """The bucket of the raw objects."""

    def __init__(self, client: "S3Client", name: str) -> None:
        self.client, self.name = client, name
        self.stopped = Event()
        self.readable = False  # whether any object could be read

    def download(self, source: Source) -> Path:
        """Download the planned version of an object to the source's path.

        Raises:
            VanishedError: The version no longer exists, or is archived.
            UnreadableError: The job may not read this object, but others.
            ReadError: The job may read no object, or S3 does not answer.
        """
        position, attempt = 0, 0
        with source.path.open("wb") as file:
            while True:
                before = position
                try:
                    body = self.open(source, position)
                    for chunk in body.iter_chunks(CHUNK_BYTES):
                        position += file.write(chunk)
                        if self.stopped.is_set():
                            raise ReadError("stopped")
                    return source.path
                except ClientError as error:
                    raise self.explain(source, error) from error
                except (BotoCoreError, HTTPClientError) as error:  # the connection broke: read the rest
                    attempt = 1 if position > before else attempt + 1
                    if attempt == MAX_ATTEMPTS:
                        raise ReadError(
                            f"S3 does not answer for s3://{self.name}/{source.key}: {error}; "
                            "start the workflow again"
                        ) from error
                    time.sleep(PAUSE_S)

    def open(self, source: Source, start: int) -> "StreamingBody":
        """Return an object's content from a byte on, if it is still the planned version."""
        version = f'"{source.etag}"'
        if start:
            answer = self.client.get_object(
                Bucket=self.name, Key=source.key, IfMatch=version, Range=f"bytes={start}-"
            )
        else:  # an empty object has no range
            answer = self.client.get_object(Bucket=self.name, Key=source.key, IfMatch=version)
        self.readable = True
        return answer["Body"]

    def explain(self, source: Source, error: ClientError) -> Exception:
        """Return the error of one object, or that of the job if it concerns all."""
        code = error.response["Error"].get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in GONE:
            return VanishedError("deleted after the run was planned")
        if code in REPLACED:
            return VanishedError("replaced after the run was planned; the next run takes the new content")
        if code == ARCHIVED:
            return VanishedError(
                "archived after the run was planned, or its restored copy has expired; restore it (aws s3api "
                "restore-object), then a run takes it"
            )
        general = ReadError(f"the job cannot read s3://{self.name}/{source.key}: {error}")
        if code in GENERAL or is_transient(code) or not 400 <= status < 500 or status == 429:
            return general
        # S3 answers 403 for a missing object too, if the role may list only a prefix.
        if status == 403 and not self.exists(source.key):
            return VanishedError("deleted after the run was planned")
        reason = f"the job may not read it: {error.response['Error'].get('Message') or code}"
        if is_of_object(error) or self.readable or self.reads_another(source.key):
            return UnreadableError(reason)
        return general

    def exists(self, key: str) -> bool:
        """Return whether the bucket lists an object."""
        try:
            listed = self.client.list_objects_v2(Bucket=self.name, Prefix=key, MaxKeys=1)
        except ClientError:
            return True
        return any(item["Key"] == key for item in listed.get("Contents", []))

    def reads_another(self, key: str) -> bool:
        """Return whether the job may read any other raw object."""
        prefix = key.partition("/")[0] + "/"
        try:
            listed = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=PROBED)
        except ClientError:
            return False
        return any(self.reads(item["Key"]) for item in listed.get("Contents", []) if item["Key"] != key)

    def reads(self, key: str) -> bool:
        """Return whether the job may read an object, by the request of one byte."""
        try:
            self.client.get_object(Bucket=self.name, Key=key, Range="bytes=0-0")["Body"].close()
        except ClientError as error:  # an empty object has no first byte
            return error.response["Error"].get("Code") == "InvalidRange"
        return True


def is_transient(code: str) -> bool:
    """Return whether the same request may succeed later, whatever the object."""
    name = code.rpartition(".")[2]
    return name in TRANSIENT or any(part in name for part in TRANSIENT_PARTS)


def is_of_object(error: ClientError) -> bool:
    """Return whether an error can only be that of one object: its key in KMS, or its own key."""
    found = error.response["Error"]
    code, message = found.get("Code", ""), found.get("Message", "")
    return code == "InvalidRequest" or "kms" in f"{code} {message}".casefold()
