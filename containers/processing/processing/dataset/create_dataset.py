"""Create a dataset from the feature store's records: splits train, validation and test."""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from processing.configuration import athena_query
from processing.dataset.records import SPLITS, Records, open_records, verify
from processing.dataset.splits import Omitted, assign_splits, check, count_rows, example, omit_labels
from processing.errors import SettingsError
from processing.ingestion import contract
from processing.ingestion.contract import Contract
from processing.ingestion.plan import EVENT_TIME
from processing.ingestion.report import read_reports, reject_if_all_quarantined
from processing.outputs import write_json

PARQUET = b"PAR1"  # recognized by content: Athena's files have no suffix
ROWS = "SELECT place, start, size FROM kept ORDER BY record_id"


def create_dataset(base: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Read processing/input/{ingest,records}; write processing/output/{train,validation,test,labels,report}.

    The input holds the latest version of each record that is not deleted, as of the environment's AS_OF, as
    the job's query selected them. `ingest` has waited until all ingested records are visible. Its reports
    cannot confirm this here, because a later version or a deletion may have replaced a record. They show
    whether any record was ingested, which no single instance of `ingest` knows.

    Raises:
        SettingsError: AS_OF is not a valid time.
        RejectedFilesError: There were new files, all of them are quarantined, and nothing was forgotten.
        ContractError: The contract is not valid.
        DatasetError: The records are not the latest versions, or do not make a dataset.
    """
    as_of = environment.get("AS_OF", "")
    if not EVENT_TIME.fullmatch(as_of):
        raise SettingsError(f"AS_OF is '{as_of}'; set a time such as 2026-01-31T23:59:59.999Z")
    rules = contract.load()
    ingested, forgets = read_reports(base / "processing/input/ingest")
    if not forgets:
        reject_if_all_quarantined(ingested)
    files = sorted(parquet_files(base / "processing/input/records"))
    query = athena_query(base)
    target = base / "processing/output"
    with TemporaryDirectory(dir=base / "processing") as folder, open_records(files, Path(folder)) as records:
        invalid = verify(records.database, as_of)
        assign_splits(records.database)
        content = describe(records.database, rules) | {"invalidRecords": invalid}
        digest = write(target, records)
    content |= {"asOf": as_of, "query": query, "sha256": digest, "ingested": ingestion_summary(ingested)}
    report(target / "report/dataset.json", content)


def ingestion_summary(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what this run ingested and quarantined."""
    return {
        "records": sum(file["ingested"] for file in files),
        "skippedRows": sum(file.get("skipped", 0) for file in files),
        "quarantinedRows": sum(file["quarantined"] for file in files),
        "quarantinedFiles": {file["key"]: file["reason"] for file in files if file["reason"]},
        "newLabels": new_labels(files),
        "heldLabels": held_labels(files),
    }


def new_labels(files: list[dict[str, Any]]) -> dict[str, int]:
    """Return the rows of each label that no record had before this run."""
    rows: Counter[str] = Counter()
    for file in files:
        rows.update(file.get("newLabels", {}))
    return dict(sorted(rows.items()))


def held_labels(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the labels whose rows this run held back, with the earlier label that each is like."""
    rows: Counter[tuple[str, str]] = Counter()
    for file in files:
        for item in file.get("heldLabels", []):
            rows[item["label"], item["like"]] += item["rows"]
    return [{"label": label, "like": like, "rows": count} for (label, like), count in sorted(rows.items())]


def parquet_files(folder: Path) -> Iterator[Path]:
    """Yield every Parquet file below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(PARQUET)) == PARQUET:
                    yield path


def describe(database: sqlite3.Connection, rules: Contract) -> dict[str, Any]:
    """Leave out labels, count the rows by split, label and source, and validate the splits."""
    rare, excess = omit_labels(database, rules.min_label_rows, rules.max_labels)
    splits = count_rows(database)
    check(splits, rare, example(database))
    print_omitted(rare, "too few rows to train with (min_label_rows in contract.toml)")
    print_omitted(excess, f"more than {rules.max_labels:,} labels (max_different in contract.toml)")
    sources = dict(database.execute("SELECT source, count(*) FROM kept GROUP BY source ORDER BY source"))
    dropped = database.execute("SELECT first, count(*) FROM placed WHERE place <> first GROUP BY first")
    also_in = {SPLITS[first]: rows for first, rows in dropped}
    return {
        "rows": sum(sources.values()),
        "splits": {name: {"rows": sum(labels.values()), "labels": labels} for name, labels in splits.items()},
        "omittedLabels": {item.label: item.rows for item in (*rare, *excess)},
        "labelsOverLimit": len(excess),
        "sources": sources,
        "trainTextsAlsoInTest": also_in.get("test", 0),
        "trainTextsAlsoInValidation": also_in.get("validation", 0),
    }


def print_omitted(labels: list[Omitted], reason: str) -> None:
    """Name labels that are left out, each with a record."""
    for item in labels:
        print(f"left out: the label '{item.label}' ({item.rows:,} rows, such as {item.example}): {reason}")


def write(target: Path, records: Records) -> str:
    """Write the rows in the order of their ids; return the content hash."""
    digest = sha256()
    with ExitStack() as stack:
        train, validation, test, labels = (
            stack.enter_context(create(target / name / f"{name}.jsonl"))
            for name in ("train", "validation", "test", "labels")
        )
        learned = {"train": train, "validation": validation}
        for number, start, size in records.database.execute(ROWS):
            split, (key, text, label, source) = SPLITS[number], records.content(start, size)
            digest.update(b'["%b",%b,%b,%b]\n' % (split.encode(), key, text, label))
            if split == "test":
                test.write(b'{"id":%b,"text":%b}\n' % (key, text))
                labels.write(b'{"id":%b,"label":%b,"source":%b}\n' % (key, label, source))
            else:
                learned[split].write(b'{"id":%b,"text":%b,"label":%b}\n' % (key, text, label))
    return digest.hexdigest()


def create(file: Path) -> IO[bytes]:
    """Open a new file; create its folder if needed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.open("wb")


def report(file: Path, content: dict[str, Any]) -> None:
    """Write the dataset's report, and print a summary."""
    write_json(file, content)
    counts = ", ".join(f"{part['rows']:,} to {name}" for name, part in content["splits"].items())
    dropped = content["trainTextsAlsoInTest"] + content["trainTextsAlsoInValidation"]
    for fault, found in content["invalidRecords"].items():
        print(f"left out: records {fault}: {found}")
    print(
        f"{content['rows']:,} rows: {counts}; {dropped:,} duplicates dropped; sha256 {content['sha256']}",
        flush=True,
    )
