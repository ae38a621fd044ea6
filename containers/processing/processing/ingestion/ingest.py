"""Ingest the new raw files: validate rows, write records, and wait until they are visible."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from processing.configuration import host, output_uri
from processing.errors import FileError
from processing.ingestion import contract, feature_store, offline_store
from processing.ingestion.contract import Contract
from processing.ingestion.feature_store import RecordWriter, Runtime
from processing.ingestion.formats.raw_file import read_rows
from processing.ingestion.offline_store import OfflineStore
from processing.ingestion.plan import Source, sources
from processing.ingestion.quarantine import Quarantine
from processing.ingestion.report import FileReport, Report, reject_if_all_quarantined
from processing.ingestion.rows import LINE_BREAK, Defect, Row, check, excerpt
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
        print(f"{len(objects):,} new files", flush=True)
        with (
            Quarantine(target / f"quarantine/{name}.jsonl", output_uri(base, "quarantine")) as quarantine,
            RecordWriter(runtime or feature_store.connect(), settings.feature_group, report.counts) as writer,
        ):
            for item in objects:
                ingest_file(item, rules, writer, quarantine, report)
        # If other instances have files too, some may be good: `create_dataset` checks all reports.
        if len(objects) == planned:
            reject_if_all_quarantined(file.content() for file in report.files)
        client = athena or offline_store.connect()
        store = OfflineStore(client, settings.database, settings.table, settings.athena_output_uri)
        store.wait_for(expected_records(report.files), settings.timeout_s)


def expected_records(files: list[FileReport]) -> dict[tuple[str, str], int]:
    """Return the number of written records by source and event time."""
    return {(file.source.key, file.source.event_time): file.ingested for file in files if file.ingested}


def ingest_file(
    source: Source, rules: Contract, writer: RecordWriter, quarantine: Quarantine, report: Report
) -> None:
    """Validate a file's rows and, if few enough are bad, write the good ones."""
    with Spool(unique=rules.unique) as spool:
        file = validate(source, rules, spool, quarantine)
        if file.reason:
            quarantine.add(source.key, None, Defect(None, None, file.reason, ""))
        else:
            writer.write(spool, source.key, source.event_time, file.good)
    report.files.append(file)
    print(file, flush=True)


def validate(source: Source, rules: Contract, spool: Spool, quarantine: Quarantine) -> FileReport:
    """Spool good rows, quarantine bad ones, and count both; reject the file if it is bad as a whole."""
    file = FileReport(source)
    labels: set[str] = set()
    first: Defect | None = None
    try:
        if LINE_BREAK.search(source.key):
            raise FileError("a line break in the object's key; upload it under another")
        for found in read_rows(source.path, rules):
            row = check(found, rules) if not isinstance(found, Defect) else found
            if isinstance(row, Row) and not spool.add(row):
                row = Defect(found.line, "id", "duplicate id", excerpt(row.id))
            if isinstance(row, Row):
                file.good += 1
                labels.add(row.label)
            else:
                file.bad += 1
                first = first or row
                quarantine.add(source.key, file.rows, row)
            check_bounds(file, labels, rules)
        check_share(file, first, rules)
    except FileError as error:
        file.reason = str(error)
    return file


def check_bounds(file: FileReport, labels: set[str], rules: Contract) -> None:
    """Reject a file with too many rows or labels."""
    if file.rows > rules.max_rows:
        raise FileError(f"more than {rules.max_rows:,} rows; split the file")
    if len(labels) > rules.max_labels and not rules.fields["label"].allowed:
        raise FileError(f"more than {rules.max_labels:,} different labels: the wrong column?")


def check_share(file: FileReport, first: Defect | None, rules: Contract) -> None:
    """Reject a file without rows, with too large a share of bad ones, or without a good one."""
    if first is None:
        if not file.rows:
            raise FileError("no rows under the header")
        return
    too_many = file.bad > rules.max_bad_share * file.rows
    if too_many or not file.good:
        allowed = f", more than {100 * rules.max_bad_share:g}%" if too_many else ""
        place = f"line {first.line}: " if first.line else ""
        share = f"{file.bad:,} of {file.rows:,} rows are bad{allowed}"
        raise FileError(f"{share}; the first: {place}{first.reason}")
