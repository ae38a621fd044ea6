"""Makes a dataset of the feature store's records: rows to train with, to validate with, to test with."""

import os
from array import array
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from configuration import athena_query
from database import Database
from errors import SettingsError
from ingestion.plan import EVENT_TIME
from ingestion.report import read_files, refuse_if_none_is_good
from outputs import write_json

from dataset.records import open_records, verify
from dataset.splits import check, count_rows, place

FETCHED = 500  # rows in Python at a time
PARQUET = b"PAR1"  # told by content: Athena's files have no suffix

# Values come as JSON in UTF-8.
TEXTS = "SELECT position, encode(to_json(text)::VARCHAR) FROM files JOIN kept USING (record_id)"
KEYS = """
SELECT split, encode(to_json(record_id)::VARCHAR), encode(to_json(label)::VARCHAR),
  encode(to_json(source)::VARCHAR)
FROM kept ORDER BY position
"""


def create_dataset(base: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Read processing/input/{ingest,records}; write processing/output/{train,validation,test,labels,report}.

    The records are the latest live version of each as of the environment's AS_OF, as the job's query took
    them. That all that was ingested is among them is what `ingest` waited for; its reports cannot tell it
    here, where a later version or a deletion may stand for a record. They tell whether any was ingested,
    which no instance of `ingest` knows of the others.

    Raises:
        SettingsError: AS_OF is no such time.
        RejectedFilesError: There were new files, and every one is quarantined whole.
        DatasetError: The records are not that, or make no dataset to train and test a model with.
    """
    as_of = environment.get("AS_OF", "")
    if not EVENT_TIME.fullmatch(as_of):
        raise SettingsError(f"AS_OF is '{as_of}'; set a time such as 2026-01-31T23:59:59.999Z")
    ingested = read_files(base / "processing/input/ingest")
    refuse_if_none_is_good(ingested)
    files = sorted(parquet_files(base / "processing/input/records"))
    query = athena_query(base)
    target = base / "processing/output"
    with TemporaryDirectory(dir=base / "processing") as spill, open_records(files, Path(spill)) as database:
        verify(database, as_of)
        place(database)
        content = describe(database)
        digest = write(target, database, Path(spill))
    content |= {"asOf": as_of, "query": query, "sha256": digest, "ingested": account(ingested)}
    report(target / "report/dataset.json", content)


def account(files: list[dict[str, Any]]) -> dict[str, Any]:
    """What this run ingested, and what it refused."""
    return {
        "records": sum(file["ingested"] for file in files),
        "quarantinedRows": sum(file["quarantined"] for file in files),
        "quarantinedFiles": {file["key"]: file["reason"] for file in files if file["reason"]},
    }


def parquet_files(folder: Path) -> Iterator[Path]:
    """Every Parquet file below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(PARQUET)) == PARQUET:
                    yield path


def describe(database: Database) -> dict[str, Any]:
    """Count what the dataset is made of, and check that it makes one."""
    splits = count_rows(database)
    check(splits)
    sources = database.execute("SELECT source, count(*) FROM kept GROUP BY ALL ORDER BY source").fetchall()
    dropped = database.execute(
        "SELECT first_split, count(*) FROM placed WHERE split <> first_split GROUP BY ALL"
    )
    also_in = dict(dropped.fetchall())
    return {
        "rows": sum(rows for _, rows in sources),
        "splits": {name: {"rows": sum(labels.values()), "labels": labels} for name, labels in splits.items()},
        "sources": dict(sources),
        "trainTextsAlsoInTest": also_in.get("test", 0),
        "trainTextsAlsoInValidation": also_in.get("validation", 0),
    }


def write(target: Path, database: Database, spill: Path) -> str:
    """Write the rows in the order of their ids; return the hash of what they say."""
    digest = sha256()
    with ExitStack() as stack:
        spool = stack.enter_context(TemporaryFile(dir=spill))
        train, validation, test, labels = (
            stack.enter_context(create(target / name / f"{name}.jsonl"))
            for name in ("train", "validation", "test", "labels")
        )
        learned = {"train": train, "validation": validation}
        for split, key, text, label, source in rows(database, spool):
            digest.update(b'["%b",%b,%b,%b]\n' % (split.encode(), key, text, label))
            if split == "test":
                test.write(b'{"id":%b,"text":%b}\n' % (key, text))
                labels.write(b'{"id":%b,"label":%b,"source":%b}\n' % (key, label, source))
            else:
                learned[split].write(b'{"id":%b,"text":%b,"label":%b}\n' % (key, text, label))
    return digest.hexdigest()


def create(file: Path) -> IO[bytes]:
    """Open a new file in a folder that may not be there yet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.open("wb")


def rows(database: Database, spool: IO[bytes]) -> Iterator[tuple[str, bytes, bytes, bytes, bytes]]:
    """Yield split, id, text, label and source of each row in the order of the ids; all but split as JSON.

    Texts go through a file: sorted within the database, they would all have to fit in its memory or be
    spilled with every row around them.
    """
    [[count]] = database.execute("SELECT count(*) FROM kept").fetchall()
    offsets, sizes = array("q", bytes(8 * count)), array("q", bytes(8 * count))
    offset = 0
    for position, text in fetch(database, TEXTS):
        offsets[position], sizes[position] = offset, len(text)
        offset += spool.write(text)
    spool.flush()
    for position, (split, key, label, source) in enumerate(fetch(database, KEYS)):
        yield split, key, os.pread(spool.fileno(), sizes[position], offsets[position]), label, source


def fetch(database: Database, query: str) -> Iterator[tuple[Any, ...]]:
    """Yield a query's rows, of which few stand in memory at a time."""
    database.execute(query)
    while some := database.fetchmany(FETCHED):
        yield from some


def report(file: Path, content: dict[str, Any]) -> None:
    """Write what the dataset is, and print it in a line."""
    write_json(file, content)
    counts = ", ".join(f"{part['rows']:,} to {name}" for name, part in content["splits"].items())
    dropped = content["trainTextsAlsoInTest"] + content["trainTextsAlsoInValidation"]
    print(
        f"{content['rows']:,} rows: {counts}; {dropped:,} repeated a text; sha256 {content['sha256']}",
        flush=True,
    )
