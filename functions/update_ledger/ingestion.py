"""The ingestion: the report of the step IngestRecords on each file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from shared import uris
from shared.documents import Document
from shared.steps import job_name, list_steps, output_uris, processing_job_arn

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef

STEP = "IngestRecords"
FIRST_ATTEMPT = 1  # a step's AttemptCount before any retry


class HeldLabel(BaseModel):
    """A label whose rows are held back, because it is like an earlier one."""

    label: str
    like: str
    rows: int


class ReportedFile(Document):
    """A version of a file and what became of its rows."""

    key: str
    etag: str
    rows: int
    ingested: int
    skipped: int = 0
    quarantined: int
    verdict: Literal["INGESTED", "QUARANTINED", "UNREADABLE", "VANISHED"]
    reason: str | None = None
    new_labels: dict[str, int] = Field(default={})
    held_labels: list[HeldLabel] = Field(default=[])


class Deletions(BaseModel):
    """The records that were deleted: by the key of the file that gave them, and by their own ids."""

    files: dict[str, int] = {}
    ids: int = 0
    unknown_ids: list[str] = Field(default=[], alias="unknownIds")  # that no record had

    @property
    def records(self) -> int:
        """The number of deleted records."""
        return sum(self.files.values()) + self.ids


class InstanceReport(BaseModel):
    """The report of one instance of the job."""

    files: list[ReportedFile]
    records: int
    deletions: Deletions | None = None  # of the one instance that deletes


class Ingestion(BaseModel):
    """The reports of all instances; empty without an ingestion."""

    files: list[ReportedFile] = []
    records: int = 0
    quarantine_uri: str | None = None
    deletions: Deletions = Deletions()
    retried: bool = False  # whether an earlier attempt of the step may have written records

    @property
    def ingested(self) -> int:
        """The rows that are records now."""
        return sum(file.ingested for file in self.files)

    @property
    def skipped_rows(self) -> int:
        """Rows that are no records although nothing is wrong with them, such as repeated texts."""
        return sum(file.skipped for file in self.files)

    @property
    def quarantined_rows(self) -> int:
        """Rows that broke the contract, with all of a file that was refused whole."""
        return sum(file.quarantined for file in self.files)

    @property
    def quarantined_files(self) -> list[ReportedFile]:
        """Files that were refused whole."""
        return self.of_verdict("QUARANTINED")

    def of_verdict(self, verdict: str) -> list[ReportedFile]:
        """Return the files of a verdict."""
        return [file for file in self.files if file.verdict == verdict]

    @property
    def new_labels(self) -> dict[str, int]:
        """The rows of each label that no record had before, the most frequent first."""
        rows: Counter[str] = Counter()
        for file in self.files:
            rows.update(file.new_labels)
        return dict(sorted(rows.items(), key=lambda item: (-item[1], item[0])))

    @property
    def held_labels(self) -> list[HeldLabel]:
        """The labels whose rows are held back, the most frequent first."""
        rows: Counter[tuple[str, str]] = Counter()
        for file in self.files:
            for item in file.held_labels:
                rows[item.label, item.like] += item.rows
        found = [HeldLabel(label=label, like=like, rows=count) for (label, like), count in rows.items()]
        return sorted(found, key=lambda item: (-item.rows, item.label))


def find_ingestion(sagemaker: SageMakerClient, s3: S3Client, execution_arn: str) -> Ingestion:
    """Read the reports of an execution's ingestion; there are none if the job did not end."""
    step = find_step(sagemaker, execution_arn)
    outputs = find_outputs(sagemaker, step)
    if "report" not in outputs:
        return Ingestion(quarantine_uri=outputs.get("quarantine"))
    reports = list(read_reports(s3, outputs["report"]))
    return Ingestion(
        files=[file for report in reports for file in report.files],
        records=sum(report.records for report in reports),
        quarantine_uri=outputs.get("quarantine"),
        deletions=next((report.deletions for report in reports if report.deletions), Deletions()),
        retried=step is not None and step.get("AttemptCount", FIRST_ATTEMPT) > FIRST_ATTEMPT,
    )


def find_step(sagemaker: SageMakerClient, execution_arn: str) -> PipelineExecutionStepTypeDef | None:
    """Return the step, or None if it did not start."""
    steps = list_steps(sagemaker, execution_arn)
    return next((step for step in steps if step["StepName"] == STEP and processing_job_arn(step)), None)


def find_outputs(sagemaker: SageMakerClient, step: PipelineExecutionStepTypeDef | None) -> dict[str, str]:
    """Return the URI of each output of the step's job, or nothing if it started none."""
    job = processing_job_arn(step) if step is not None else None
    if job is None:
        return {}
    return output_uris(sagemaker.describe_processing_job(ProcessingJobName=job_name(job)))


def read_reports(s3: S3Client, uri: str) -> Iterator[InstanceReport]:
    """Yield the report of every instance."""
    bucket, prefix = uris.split(uri)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
        for entry in page.get("Contents", []):
            if entry["Key"].endswith(".json"):
                body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                yield InstanceReport.model_validate_json(body)
