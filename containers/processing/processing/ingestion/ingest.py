"""Ingest the new raw files: validate rows, write records, and wait until they are visible."""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, cast

from processing.configuration import host, output_uri
from processing.errors import FileError
from processing.ingestion import contract, feature_store, offline_store
from processing.ingestion.checked_rows import read_checked
from processing.ingestion.contract import Contract
from processing.ingestion.deletions import Deletions, delete_records, read_deletions
from processing.ingestion.feature_store import RecordWriter, Runtime
from processing.ingestion.instances import Instances, read_instances
from processing.ingestion.labels import Held, Labels, stored_labels
from processing.ingestion.objects import find_sources, open_sources, unread
from processing.ingestion.offline_store import OfflineStore
from processing.ingestion.plan import Source, first_time, read_objects
from processing.ingestion.quarantine import Quarantine
from processing.ingestion.record_deleter import DeletingRuntime, RecordDeleter
from processing.ingestion.refusals import Refusal, refuse_group
from processing.ingestion.report import FileReport, Report, reject_if_all_quarantined
from processing.ingestion.rows import LINE_BREAK, Defect, Record, Row, Skip, derived_id, excerpt, span
from processing.ingestion.settings import Settings
from processing.ingestion.spool import Place, Spool
from processing.scratch import scratch

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_s3 import S3Client


def ingest(
    base: Path,
    environment: Mapping[str, str] = os.environ,
    runtime: Runtime | None = None,
    athena: "AthenaClient | None" = None,
    s3: "S3Client | None" = None,
) -> None:
    """Read the planned objects; write records and processing/output/{report,quarantine}.

    The objects are in the bucket, or without one in processing/input/raw.

    Raises:
        RejectedFilesError: This instance has all new files, all of them are refused, and nothing is to be
            forgotten.
        ProcessingError: The settings, the contract or the plan are invalid, or a service fails.
    """
    target, name = base / "processing/output", host(base)
    with Report(target / f"report/{name}.json") as report, scratch(base) as folder:
        settings, rules = Settings.read(environment), contract.load()
        plan = base / "processing/input/plan/plan.json"
        objects, planned = find_sources(base, settings, folder)
        deletions = read_deletions(plan)
        client = athena or offline_store.connect()
        store = OfflineStore(client, settings.database, settings.table, settings.athena_output_uri)
        keys = [*read_objects(plan), *deletions.files]
        labels = Labels(rules, lambda: stored_labels(store, first_time(plan), keys, deletions.ids))
        print(f"{len(objects):,} new files", flush=True)
        connection = runtime or feature_store.connect()
        with (
            Quarantine(target / f"quarantine/{name}.jsonl", output_uri(base, "quarantine")) as quarantine,
            RecordWriter(connection, settings.feature_group, report.counts) as writer,
            closing(open_sources(objects, settings, s3)) as files,
        ):
            refused: list[FileReport] = []  # whole, by the feature store
            for item, refusal in files:
                if refusal:
                    report.add(unread(item, refusal))
                    continue
                file = ingest_file(item, rules, writer, quarantine, labels, deletions.forgotten)
                if file.refusal and file.reason:
                    refused.append(file)
                else:
                    report.add(file)
            settle(refused, settings.feature_group, report, quarantine)
        # If other instances have files too, some may be good: `create_dataset` checks all reports.
        # What is to be forgotten does not wait for a good file.
        if len(objects) == planned and not deletions.forgets:
            reject_if_all_quarantined(file.content() for file in report.files)
        store.wait_for(expected_records(report.files), settings.timeout_s)
        if deletions:
            deleter = RecordDeleter(cast(DeletingRuntime, connection), settings.feature_group)
            correct(deletions, read_instances(base), store, deleter, report, settings.timeout_s)


def settle(refused: list[FileReport], group: str, report: Report, quarantine: Quarantine) -> None:
    """Quarantine the files of which the feature store refused every record, when all files are read.

    Before that, the group may be at fault. A job that fails has not reported these files, so they stay new.

    Raises:
        RecordError: The feature store refused every record of the job.
    """
    if refused and not report.counts.records:
        refuse_group(group, [file.source.key for file in refused], refused[0].refusal)
    for file in refused:
        quarantine.add(file.source.key, None, Defect(None, None, str(file.reason), ""))
        report.add(file)


def correct(
    deletions: Deletions,
    instances: Instances,
    store: OfflineStore,
    deleter: RecordDeleter,
    report: Report,
    timeout_s: float,
) -> None:
    """Delete what the plan says, on one instance, once the records of all are visible."""
    ingested = [file.source.key for file in report.files if not file.reason]
    if not instances.first:
        instances.publish(ingested)
        return
    keys = instances.collect(ingested)
    report.deletions, expected = delete_records(deletions, keys, store, deleter.delete)
    print(f"{report.deletions}", flush=True)
    store.wait_for(expected, timeout_s)


def expected_records(files: list[FileReport]) -> dict[tuple[str, str], int]:
    """Return the number of written records by source and event time."""
    return {(file.source.key, file.source.event_time): file.records for file in files if file.ingested}


def ingest_file(
    source: Source,
    rules: Contract,
    writer: RecordWriter,
    quarantine: Quarantine,
    labels: Labels,
    forgotten: Collection[str] = (),
) -> FileReport:
    """Validate a file's rows and, if few enough are bad, write the good ones; return the file's report.

    Args:
        labels: The labels of earlier records and of the run's files so far.
        forgotten: The ids that no file may bring again.
    """
    with Spool(unique=rules.unique) as spool:
        file = validate(source, rules, spool, quarantine, labels, forgotten)
        if not file.reason:
            refusals = writer.write(spool, source.key, source.event_time, file.good)
            quarantine_refused(refusals, file, spool, quarantine)
            file.records = spool.count_ids(Counter(refusal.record_id for refusal in refusals))
        else:
            quarantine.add(source.key, None, Defect(None, None, file.reason, ""))
    if not file.reason:
        labels.add(file)
    return file


def quarantine_refused(
    refusals: Sequence[Refusal], file: FileReport, spool: Spool, quarantine: Quarantine
) -> None:
    """Quarantine the rows whose records the feature store refuses; if these are all, refuse the file."""
    for key, reason in refusals:
        row, place = spool.find(key)
        last = place.line + place.lines - 1 if place.line and place.lines else None
        quarantine.add(
            file.source.key,
            place.row,
            Defect(place.line, None, f"the feature store refuses it: {reason}", excerpt(key), last),
        )
        file.refuse(row.label, place.lines)
    if refusals:
        file.refusal = refusals[0].reason
        file.notes.append(f"{len(refusals):,} rows refused by the feature store, first {refusals[0].reason}")
    if refusals and not file.good:
        file.reason = f"the feature store refuses all good rows, first {refusals[0].reason}"


def validate(
    source: Source,
    rules: Contract,
    spool: Spool,
    quarantine: Quarantine,
    known: Labels,
    forgotten: Collection[str] = (),
) -> FileReport:
    """Spool good rows, quarantine the others, and count all; reject the file if it is bad as a whole."""
    file = FileReport(source)
    labels = file.labels
    first: Defect | None = None
    try:
        if LINE_BREAK.search(source.key):
            raise FileError("a line break in the object's key; upload it under another")
        for number, (found, row) in enumerate(read_checked(source.path, rules, file.lines), 1):
            if isinstance(row, Row):
                if forgotten and row.id in forgotten:
                    row = Skip(found.line, "its id is forgotten", found.last)
                elif row.label not in labels and (reason := known.reason(row.label)):
                    file.held[row.label] += 1
                    row = Held(found.line, "label", reason, excerpt(row.label), found.last)
                elif not spool.add(row, Place(number, found.line, span(found))):
                    row = repeated(row, found, spool)
            if isinstance(row, Row):
                file.good += 1
                file.good_lines += span(found)
                if row.label not in labels:
                    known.check_limit({*labels, row.label})
                labels[row.label] += 1
            elif isinstance(row, Skip):
                file.skipped += 1
                file.skipped_lines += span(row)
                file.skips[row.reason] += 1
            else:
                if not isinstance(row, Held):
                    file.bad += 1
                    first = first or row
                file.bad_lines += span(row)
                quarantine.add(source.key, number, row)
            if number > rules.max_rows:
                raise FileError(f"more than {rules.max_rows:,} rows; split the file")
        check_share(file, first, rules)
    except FileError as error:
        file.reason = str(error)
    file.notes = [f"{count:,} rows skipped: {reason}" for reason, count in file.skips.items()]
    known.settle(file)
    return file


def repeated(row: Row, found: Record | Defect | Skip, spool: Spool) -> Defect | Skip:
    """Return why a row whose id exists already is no record: the same text again, or another row."""
    earlier, place = spool.find(row.id)
    if earlier.text != row.text or row.id != derived_id(row.text):
        return Defect(found.line, "id", "duplicate id", excerpt(row.id), found.last)
    if earlier.label == row.label:
        return Skip(found.line, "the text and the label of an earlier row", found.last)
    here = f"here (line {found.line})" if found.line else "here"
    there = f"in line {place.line}" if place.line else f"in row {place.row}"
    reason = f"the text has the label '{excerpt(earlier.label)}' {there} and '{excerpt(row.label)}' {here}"
    return Defect(found.line, "label", reason, excerpt(row.text), found.last)


def check_share(file: FileReport, first: Defect | None, rules: Contract) -> None:
    """Reject a file without rows, with too large a share of bad ones, or without a good one."""
    if file.lost_lines:
        raise FileError(
            f"{file.lost_lines:,} of {file.lines.read:,} lines are in no row: a fault of the reader"
        )
    if first is None:
        if not file.rows:
            raise FileError("no rows under the header")
        if not file.good and file.held:
            raise FileError(f"no row is left; {file.held.total():,} of {file.rows:,} rows are held back")
        if not file.good:
            raise FileError(f"all {file.rows:,} rows are skipped: {', '.join(file.skips)}")
        return
    too_many = file.bad > rules.max_bad_share * file.rows
    if too_many or not file.good:
        allowed = f", more than {100 * rules.max_bad_share:g}%" if too_many else ""
        place = f"line {first.line}: " if first.line else ""
        share = f"{file.bad:,} of {file.rows:,} rows are bad{allowed}"
        raise FileError(f"{share}; the first: {place}{first.reason}")
