"""Ingest the new raw files: validate rows, write records, and wait until they are visible."""

import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from processing.configuration import host, output_uri
from processing.errors import FileError
from processing.ingestion import contract, feature_store, offline_store
from processing.ingestion.contract import Contract
from processing.ingestion.deletions import Deletions, delete_records, read_deletions
from processing.ingestion.feature_store import RecordWriter, Runtime
from processing.ingestion.formats.raw_file import read_rows
from processing.ingestion.instances import Instances, read_instances
from processing.ingestion.offline_store import OfflineStore
from processing.ingestion.plan import Source, sources
from processing.ingestion.quarantine import Quarantine
from processing.ingestion.record_deleter import DeletingRuntime, RecordDeleter
from processing.ingestion.report import FileReport, Report, reject_if_all_quarantined
from processing.ingestion.rows import LINE_BREAK, Defect, Record, Row, Skip, check, derived_id, excerpt, span
from processing.ingestion.settings import Settings
from processing.ingestion.spool import Spool

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient


def ingest(
    base: Path,
    environment: Mapping[str, str] = os.environ,
    runtime: Runtime | None = None,
    athena: "AthenaClient | None" = None,
) -> None:
    """Read processing/input/{raw,plan}; write records and processing/output/{report,quarantine}.

    Raises:
        RejectedFilesError: This instance has all new files, and all of them are quarantined.
        ProcessingError: The settings, the contract or the plan are invalid, or a service fails.
    """
    target, name = base / "processing/output", host(base)
    with Report(target / f"report/{name}.json") as report:
        settings, rules = Settings.read(environment), contract.load()
        source = base / "processing/input"
        objects, planned = sources(source / "raw", source / "plan/plan.json")
        deletions = read_deletions(source / "plan/plan.json")
        print(f"{len(objects):,} new files", flush=True)
        connection = runtime or feature_store.connect()
        with (
            Quarantine(target / f"quarantine/{name}.jsonl", output_uri(base, "quarantine")) as quarantine,
            RecordWriter(connection, settings.feature_group, report.counts) as writer,
        ):
            known: Counter[str] = Counter()
            for item in objects:
                ingest_file(item, rules, writer, quarantine, report, known, deletions.forgotten)
        # If other instances have files too, some may be good: `create_dataset` checks all reports.
        if len(objects) == planned:
            reject_if_all_quarantined(file.content() for file in report.files)
        client = athena or offline_store.connect()
        store = OfflineStore(client, settings.database, settings.table, settings.athena_output_uri)
        store.wait_for(expected_records(report.files), settings.timeout_s)
        if deletions:
            deleter = RecordDeleter(cast(DeletingRuntime, connection), settings.feature_group)
            correct(deletions, read_instances(base), store, deleter, report, settings.timeout_s)


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
    return {(file.source.key, file.source.event_time): file.ingested for file in files if file.ingested}


def ingest_file(
    source: Source,
    rules: Contract,
    writer: RecordWriter,
    quarantine: Quarantine,
    report: Report,
    known: Counter[str],
    forgotten: Collection[str] = (),
) -> None:
    """Validate a file's rows and, if few enough are bad, write the good ones.

    Args:
        known: The labels of the records so far, with the rows of each in this run; the file's are added.
        forgotten: The ids that no file may bring again.
    """
    with Spool(unique=rules.unique) as spool:
        file = validate(source, rules, spool, quarantine, known, forgotten)
        if file.reason:
            quarantine.add(source.key, None, Defect(None, None, file.reason, ""))
        else:
            writer.write(spool, source.key, source.event_time, file.good)
            known.update(file.labels)
    report.files.append(file)
    print(file, flush=True)


def validate(
    source: Source,
    rules: Contract,
    spool: Spool,
    quarantine: Quarantine,
    known: Mapping[str, int],
    forgotten: Collection[str] = (),
) -> FileReport:
    """Spool good rows, quarantine bad ones, and count all; reject the file if it is bad as a whole."""
    file = FileReport(source)
    labels = file.labels
    first: Defect | None = None
    try:
        if LINE_BREAK.search(source.key):
            raise FileError("a line break in the object's key; upload it under another")
        for found in read_rows(source.path, rules, file.lines):
            row = check(found, rules) if isinstance(found, Record) else found
            if forgotten and isinstance(row, Row) and row.id in forgotten:
                row = Skip(found.line, "its id is forgotten", found.last)
            if isinstance(row, Row) and not spool.add(row, found.line or file.rows + 1):
                row = repeated(row, found, spool)
            if isinstance(row, Row):
                file.good += 1
                file.good_lines += span(found)
                if row.label not in labels:
                    check_labels({*labels, row.label}, known, rules)
                labels[row.label] += 1
            elif isinstance(row, Skip):
                file.skipped += 1
                file.skipped_lines += span(row)
                file.skips[row.reason] += 1
            else:
                file.bad += 1
                file.bad_lines += span(row)
                first = first or row
                quarantine.add(source.key, file.rows, row)
            if file.rows > rules.max_rows:
                raise FileError(f"more than {rules.max_rows:,} rows; split the file")
        check_share(file, first, rules)
    except FileError as error:
        file.reason = str(error)
    file.notes = [f"{count:,} rows skipped: {reason}" for reason, count in file.skips.items()]
    file.notes += case_twins(file.labels, known)
    return file


def repeated(row: Row, found: Record | Defect | Skip, spool: Spool) -> Defect | Skip:
    """Return why a row whose id exists already is no record: the same text again, or another row."""
    earlier, place = spool.find(row.id)
    if earlier.text != row.text or row.id != derived_id(row.text):
        return Defect(found.line, "id", "duplicate id", excerpt(row.id), found.last)
    if earlier.label == row.label:
        return Skip(found.line, "the text and the label of an earlier row", found.last)
    here = f"here (line {found.line})" if found.line else "here"
    there = f"in {'line' if found.line else 'row'} {place}"
    reason = f"the text has the label '{excerpt(earlier.label)}' {there} and '{excerpt(row.label)}' {here}"
    return Defect(found.line, "label", reason, excerpt(row.text), found.last)


def check_labels(labels: Collection[str], known: Mapping[str, int], rules: Contract) -> None:
    """Reject a file that brings more labels than a dataset may have."""
    if rules.fields["label"].allowed:
        return
    if len(labels) > rules.max_labels:
        raise FileError(f"more than {rules.max_labels:,} different labels: the wrong column?")
    earlier = len(known.keys() - labels)
    if earlier + len(labels) > rules.max_labels:
        raise FileError(
            f"with {earlier:,} other labels of earlier files, more than {rules.max_labels:,} different "
            "labels: the wrong column? If they are right, raise max_different in contract.toml"
        )


def case_twins(labels: Mapping[str, int], known: Mapping[str, int]) -> list[str]:
    """Name the file's labels that differ in case only, from each other or from labels of earlier files."""
    counts = Counter(labels)
    counts.update(known)
    groups: dict[str, list[str]] = {}
    for label in counts:
        groups.setdefault(label.casefold(), []).append(label)
    notes = []
    for group in groups.values():
        if len(group) > 1 and any(label in labels for label in group):
            names = ", ".join(f"'{excerpt(label)}' ({counts[label]:,})" for label in sorted(group))
            notes.append(
                f"labels that differ in case only: {names}; if they are one, say so in [fields.label.values] "
                "of contract.toml"
            )
    return notes


def check_share(file: FileReport, first: Defect | None, rules: Contract) -> None:
    """Reject a file without rows, with too large a share of bad ones, or without a good one."""
    if file.lost_lines:
        raise FileError(
            f"{file.lost_lines:,} of {file.lines.read:,} lines are in no row: a fault of the reader"
        )
    if first is None:
        if not file.rows:
            raise FileError("no rows under the header")
        if not file.good:
            raise FileError(f"all {file.rows:,} rows are skipped: {', '.join(file.skips)}")
        return
    too_many = file.bad > rules.max_bad_share * file.rows
    if too_many or not file.good:
        allowed = f", more than {100 * rules.max_bad_share:g}%" if too_many else ""
        place = f"line {first.line}: " if first.line else ""
        share = f"{file.bad:,} of {file.rows:,} rows are bad{allowed}"
        raise FileError(f"{share}; the first: {place}{first.reason}")
