"""The objects of this instance: in the bucket, or in the job's input for a run by hand."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from processing.configuration import host, hosts
from processing.errors import FileError, VanishedError
from processing.ingestion import bucket
from processing.ingestion.bucket import Bucket
from processing.ingestion.downloads import THREADS, fetch
from processing.ingestion.plan import Source, shared_sources, sources
from processing.ingestion.report import FileReport, Verdict
from processing.ingestion.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def find_sources(base: Path, settings: Settings, folder: Path) -> tuple[list[Source], int]:
    """Return this instance's objects, and the number of planned objects on all instances."""
    source = base / "processing/input"
    if settings.bucket is None:
        return sources(source / "raw", source / "plan/plan.json")
    return shared_sources(source / "plan/plan.json", folder, host(base), hosts(base))


def open_sources(
    objects: Sequence[Source], settings: Settings, s3: "S3Client | None"
) -> Generator[tuple[Source, FileError | None]]:
    """Yield each object when its file exists, or with the reason why it does not."""
    if settings.bucket is None:
        return ((item, None) for item in objects)
    return fetch(Bucket(s3 or bucket.connect(THREADS), settings.bucket), objects)


def unread(source: Source, refusal: FileError) -> FileReport:
    """Return the report on an object that could not be read."""
    verdict: Verdict = "VANISHED" if isinstance(refusal, VanishedError) else "UNREADABLE"
    return FileReport(source, reason=str(refusal), unread=verdict)
