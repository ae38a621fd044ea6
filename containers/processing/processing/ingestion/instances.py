"""The instances of one job: the first one waits until the others have ended their part.

SageMaker gives the instances of a processing job nothing in common but S3. Each writes below the job's report
which files it has ingested, once their records are visible.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from processing.configuration import FIRST_HOST, host, hosts, output_uri, read

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class Instances:
    """This instance, all of its job, and the folder in S3 that they share.

    The folder's name has the job's, since a pipeline step that is retried writes to the same place.
    """

    host: str
    hosts: tuple[str, ...]
    folder: str

    @property
    def first(self) -> bool:
        """Return whether this is the one that does what only one may do."""
        return self.host == (FIRST_HOST if FIRST_HOST in self.hosts else min(self.hosts))

    def publish(self, ingested: list[str], s3: "S3Client | None" = None) -> None:
        """Write which files this instance has ingested; a single instance needs nothing of this."""
        if len(self.hosts) > 1:
            bucket, key = self.place(self.host)
            (s3 or boto3.client("s3")).put_object(Bucket=bucket, Key=key, Body=json.dumps(ingested).encode())

    def collect(self, ingested: list[str], s3: "S3Client | None" = None) -> list[str]:
        """Wait for all instances, and return which files they have ingested.

        The wait has no limit but the job's: the part of another instance may be much larger.
        """
        if len(self.hosts) == 1:
            return ingested
        client, found = s3 or boto3.client("s3"), list(ingested)
        for other in self.hosts:
            if other != self.host:
                found += self.wait_for(client, other)
        return found

    def wait_for(self, s3: "S3Client", other: str) -> list[str]:
        """Wait for another instance, and return which files it has ingested."""
        bucket, key = self.place(other)
        while True:
            # Listed first: a request for a missing object is refused to a role that may not list the bucket.
            listed = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
            if any(item["Key"] == key for item in listed):
                content: list[str] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
                return content
            time.sleep(POLL_S)

    def place(self, name: str) -> tuple[str, str]:
        """Return the bucket and the key of what an instance writes."""
        bucket, _, prefix = self.folder.removeprefix("s3://").partition("/")
        return bucket, f"{prefix}/{name}"


def read_instances(base: Path) -> Instances:
    """Read what SageMaker writes about the job; a job that is run by hand has one instance."""
    job = str(read(base, "processingjobconfig.json").get("ProcessingJobArn", "")).rpartition("/")[2]
    folder = (output_uri(base, "report") or "").rstrip("/")
    return Instances(host(base), tuple(hosts(base)), f"{folder}/instances/{job}")
