"""Update the ledger: record what became of the files that a run planned."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

from shared import table
from shared.batches import write
from shared.documents import Document
from shared.environment import FunctionEnvironment
from shared.plan import Plan, PlannedObject, read_plan
from update_ledger.corrections import forgotten_items, settled_keys, summarize_deletions
from update_ledger.dataset import Dataset, find_dataset
from update_ledger.ingestion import Ingestion, ReportedFile, find_ingestion
from update_ledger.labels import label_fields, label_sentences
from update_ledger.set_aside import set_aside_items, summarize_set_aside, vanished_keys
from update_ledger.text import count

logger = Logger(service="update_ledger")
tracer = Tracer(service="update_ledger")
metrics = Metrics(namespace="Retrain", service="update_ledger")

MAX_REASON = 1000  # characters
SHOWN_FILES = 5  # refused files that the notification names; the ledger has them all
SHOWN_REASON = 160  # characters
# Verdicts that a failed run records too: the next run would only find the same.
REFUSED = ("QUARANTINED", "UNREADABLE")


class UnreportedFilesError(Exception):
    """The run succeeded, but the ingestion's reports do not contain every planned file."""


class Environment(FunctionEnvironment):
    """The function's configuration."""

    table_name: str


class Outcome(BaseModel):
    """The outcome of the run: the model was deployed or rejected, or there is none."""

    status: Literal["DEPLOYED", "REJECTED", "FAILED", "SET_ASIDE"]


class Request(Document):
    """A run's outcome, with its plan and its pipeline execution if it has them."""

    plan_uri: str | None = None
    pipeline_execution_arn: str | None = None
    outcome: Outcome
    execution: str
    gone_note: str = ""  # about ingested files that are no longer under raw/


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Record the planned files; return what was ingested and refused, as numbers and text."""
    request = parse(event=event, model=Request)
    environment = Environment.read()
    s3 = boto3.client("s3")
    plan = read_plan(s3, request.plan_uri) if request.plan_uri else Plan()
    ingestion, dataset = Ingestion(), Dataset()
    if request.pipeline_execution_arn:
        sagemaker = boto3.client("sagemaker")
        dataset = find_dataset(sagemaker, s3, request.pipeline_execution_arn)
        if plan.objects or plan.forget:
            ingestion = find_ingestion(sagemaker, s3, request.pipeline_execution_arn)
    updated_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    items = list(ledger_items(plan, ingestion, request, updated_at))
    items += set_aside_items(plan.set_aside, request.execution, updated_at)
    forgotten = []
    if plan.forget and request.outcome.status != "FAILED":
        forgotten = list(forgotten_items(plan.forget, ingestion.deletions, request.execution, updated_at))
    settled = [
        *settled_keys(items, forgotten, set(plan.overtaken)),
        *vanished_keys(ingestion, may_hold_records(plan, ingestion)),
    ]
    write(boto3.client("dynamodb"), environment.table_name, [*items, *forgotten], settled)
    notes = (
        summarize(ingestion),
        *label_sentences(ingestion, dataset),
        summarize_deletions(plan, ingestion.deletions),
        summarize_set_aside(plan),
        request.gone_note,
    )
    answer = {
        "files": len(ingestion.files),
        "records": ingestion.records,
        "deletedRecords": ingestion.deletions.records,
        "quarantinedRows": ingestion.quarantined_rows,
        "quarantinedFiles": [
            {"key": file.key, "reason": (file.reason or "")[:SHOWN_REASON]}
            for file in ingestion.quarantined_files[:SHOWN_FILES]
        ],
        **label_fields(ingestion, dataset),
        "setAside": [
            {"key": item.key, "reason": item.reason[:SHOWN_REASON]} for item in plan.set_aside[:SHOWN_FILES]
        ],
        "summary": " ".join(filter(None, notes)),
    }
    metrics.add_metric("RecordedObjects", MetricUnit.Count, len(items))
    metrics.add_metric("QuarantinedRows", MetricUnit.Count, ingestion.quarantined_rows)
    metrics.add_metric("DeletedRecords", MetricUnit.Count, ingestion.deletions.records)
    logger.info("recorded", extra={"status": request.outcome.status, "recorded": len(items), **answer})
    if request.outcome.status != "FAILED":
        refuse_silence(plan.objects, ingestion)
    return answer


def refuse_silence(planned: Sequence[PlannedObject], ingestion: Ingestion) -> None:
    """Fail if a planned file is in no report: it would start the next run, again and again."""
    reported = {(file.key, file.etag) for file in ingestion.files}
    if left := [item.key for item in planned if (item.key, item.etag) not in reported]:
        raise UnreportedFilesError(
            f"The reports of IngestRecords leave out {len(left)} of {count(len(planned), 'planned file')}, "
            f"such as {left[0]}. Look into the log of its job; the next run takes these files again."
        )


def ledger_items(
    plan: Plan, ingestion: Ingestion, request: Request, updated_at: str
) -> Iterator[dict[str, Any]]:
    """Yield an item per planned version that was processed.

    After a failure these are the refused versions only. The others stay new and are tried again, which does
    no harm: a record that is written twice is one record. A version that vanished has no item: the next run
    takes it if it comes back.
    """
    held = may_hold_records(plan, ingestion)
    dealt_with = {(file.key, file.etag): file for file in ingestion.files}
    for item in plan.objects:
        file = dealt_with.get((item.key, item.etag))
        if file is None or file.verdict == "VANISHED":
            continue
        if request.outcome.status == "FAILED" and file.verdict not in REFUSED:
            continue
        yield {
            **table.key(table.LEDGER, item.key),
            "etag": {"S": item.etag},
            "size": {"N": str(item.size)},
            "eventTime": {"S": item.event_time},
            "status": {"S": file.verdict},
            "rows": {"N": str(file.rows)},
            "quarantined": {"N": str(file.quarantined)},
            **({"reason": {"S": file.reason[:MAX_REASON]}} if file.reason else {}),
            **replacement(item, file, ingestion, held),
            "execution": {"S": request.execution},
            "updatedAt": {"S": updated_at},
        }


def may_hold_records(plan: Plan, ingestion: Ingestion) -> set[str]:
    """Return the planned keys that may have records although their planned version was refused or is gone.

    These are records of an earlier run, or of an earlier attempt of this run's step: its report is lost.
    """
    if ingestion.retried:
        return {item.key for item in plan.objects}
    return {*plan.held, *(item.key for item in plan.objects if item.replaces)}


def replacement(
    item: PlannedObject, file: ReportedFile, ingestion: Ingestion, held: Collection[str]
) -> dict[str, Any]:
    """Return what the item records of earlier records: how many were deleted, or whether some may exist."""
    if file.verdict in REFUSED:
        return {"holdsRecords": {"BOOL": item.key in held}}
    return {"deletedRecords": {"N": str(ingestion.deletions.files.get(item.key, 0))}} if item.replaces else {}


def summarize(ingestion: Ingestion) -> str:
    """Return the notification's text about the data: one sentence, and a second if some was refused."""
    if not ingestion.files:
        return "No new file was ingested."
    text = f"Of {count(len(ingestion.files), 'new file')}, {count(ingestion.ingested, 'row')} were ingested."
    if ingestion.skipped_rows:
        text += f" Skipped: {count(ingestion.skipped_rows, 'row')}, see the report of IngestRecords."
    if vanished := ingestion.of_verdict("VANISHED"):
        files = count(len(vanished), "file")
        text += f" Gone or archived before they were read: {files}, {vanished[0].key} first."
    if unreadable := ingestion.of_verdict("UNREADABLE"):
        text += f" Unreadable: {named(unreadable)}."
    if not ingestion.quarantined_rows and not ingestion.quarantined_files:
        return text
    refused = count(ingestion.quarantined_rows, "row")
    if whole := ingestion.quarantined_files:
        refused += f", with {count(len(whole), 'whole file')} ({named(whole)})"
    return f"{text} Quarantined: {refused}, see {ingestion.quarantine_uri or 'the report of IngestRecords'}"


def named(files: list[ReportedFile]) -> str:
    """Return the first files with their reasons, and the number of the others."""
    shown = "; ".join(
        f"{file.key}: {(file.reason or 'no reason')[:SHOWN_REASON]}" for file in files[:SHOWN_FILES]
    )
    return f"{shown}; and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else shown
