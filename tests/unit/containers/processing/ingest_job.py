"""What the tests of `ingest` share: a job's folder, and an AWS of its own in memory."""

import csv
import io
import json
import shutil
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import duckdb
from botocore.exceptions import ClientError

from processing.ingestion.ingest import ingest

FOLDER = Path(__file__).parents[4] / "containers/processing"
Record = dict[str, Any]
ENVIRONMENT = {
    "FEATURE_GROUP_NAME": "retrain-records",
    "OFFLINE_STORE_DATABASE": "sagemaker_featurestore",
    "OFFLINE_STORE_TABLE": 'retrain_records_"1"',
    "ATHENA_OUTPUT_URI": "s3://data/athena/ingest",
    "OFFLINE_STORE_TIMEOUT_MINUTES": "1",
}


def to_csv(rows: list[Record], header: list[str] | None = None) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, header or list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue().encode()


def to_json_lines(rows: list[Record]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


ROW_GROUP = 2048  # rows, the fewest that DuckDB writes


def to_parquet(rows: list[Record], folder: Path, columns: str = "id, text, label") -> bytes:
    (folder / "rows.jsonl").write_bytes(to_json_lines(rows))
    database().execute(
        f"COPY (SELECT {columns} FROM read_json('{folder}/rows.jsonl', format='newline_delimited', "
        f"auto_detect=true)) TO '{folder}/rows.parquet' (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
    )
    return (folder / "rows.parquet").read_bytes()


def record(key: str, label: str = "pos", **more: Any) -> Record:
    return {"id": key, "text": f"text of {key}", "label": label} | more


GOOD = [record("train/1"), record("train/2", "neg"), record("test/3"), record("test/4", "neg")]


def throttled(code: str = "ThrottlingException", status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "Rate exceeded"},
            "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
        },
        "BatchWriteRecord",
    )


class FeatureStore:
    """A feature store's runtime: it gives the prepared answers first, then accepts every record.

    `answers` holds, for the next calls: an error to raise, a number of entries to leave unprocessed, or
    a code with which the first entry fails.
    """

    def __init__(self) -> None:
        self.writes: list[Record] = []
        self.answers: list[Exception | int | str] = []
        self.batches: list[int] = []
        self.deletions: list[tuple[str, str]] = []
        self.places: list[int] = []  # of the deletions among the writes
        self.refusals: list[Exception] = []  # of the next deletions
        self.lock = threading.Lock()

    def batch_write_record(self, *, Entries: list[Record]) -> Record:
        with self.lock:
            self.batches.append(len(Entries))
            assert 1 <= len(Entries) <= 25
            answer = self.answers.pop(0) if self.answers else 0
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, int):
                taken, left = Entries[answer:], Entries[:answer]
                errors = []
            else:
                taken, left = Entries[1:], []
                errors = [{"Entry": Entries[0], "ErrorCode": answer, "ErrorMessage": "because"}]
            for entry in taken:
                assert entry["FeatureGroupName"] == ENVIRONMENT["FEATURE_GROUP_NAME"]
                self.writes.append({v["FeatureName"]: v["ValueAsString"] for v in entry["Record"]})
            return {"UnprocessedEntries": left, "Errors": errors}

    def delete_record(self, **request: str) -> Record:
        """A deletion, as the offline store keeps it: a version with an id and a time only."""
        assert request.pop("FeatureGroupName") == ENVIRONMENT["FEATURE_GROUP_NAME"]
        assert request.pop("DeletionMode") == "SoftDelete"
        with self.lock:
            if self.refusals:
                raise self.refusals.pop(0)
            self.places.append(len(self.writes))
            self.deletions.append((request.pop("RecordIdentifierValueAsString"), request.pop("EventTime")))
        assert not request
        return {}

    def versions(self) -> list[Record]:
        """Each version of each record, in the order of the calls; a deletion has an id and a time only."""
        versions = list(self.writes)
        for place, (name, time) in reversed([*zip(self.places, self.deletions, strict=True)]):
            versions.insert(place, {"record_id": name, "event_time": time, "is_deleted": True})
        return versions

    def records(self) -> list[Record]:
        """What is stored: the last write of an identifier and event time."""
        stored = {(row["record_id"], row["event_time"]): row for row in self.writes}
        return [stored[key] for key in sorted(stored)]


class Athena:
    """Athena over the feature store's records, by DuckDB; `lag` records stay unseen for `lagging` queries."""

    def __init__(self, store: FeatureStore) -> None:
        self.store = store
        self.lag, self.lagging = 0, 0
        self.states: list[Record] = []  # of the queries of `visible`
        self.label_states: list[Record] = []
        self.earlier: list[Record] = []  # records of earlier runs
        self.queries: list[str] = []
        self.label_queries: list[str] = []
        self.stopped: list[str] = []

    def start_query_execution(
        self, *, QueryString: str, QueryExecutionContext: Record, ResultConfiguration: Record
    ) -> Record:
        assert QueryExecutionContext == {"Database": "sagemaker_featurestore"}
        assert ResultConfiguration == {"OutputLocation": "s3://data/athena/ingest"}
        if "GROUP BY label" in QueryString:
            self.label_queries.append(QueryString)
            return {"QueryExecutionId": "labels"}
        self.queries.append(QueryString)
        return {"QueryExecutionId": str(len(self.queries))}

    def get_query_execution(self, *, QueryExecutionId: str) -> Record:
        states = self.label_states if QueryExecutionId == "labels" else self.states
        status = states.pop(0) if states else {"State": "SUCCEEDED"}
        return {"QueryExecution": {"QueryExecutionId": QueryExecutionId, "Status": status}}

    def stop_query_execution(self, *, QueryExecutionId: str) -> Record:
        self.stopped.append(QueryExecutionId)
        return {}

    def get_paginator(self, name: str) -> "Athena":
        assert name == "get_query_results"
        return self

    def paginate(self, *, QueryExecutionId: str) -> Iterator[Record]:
        if QueryExecutionId == "labels":
            yield answer(self.label_queries[-1], [*self.earlier, *self.store.versions()])
            return
        seen = self.store.versions() * 2  # a retried write stands twice in an offline store
        if self.lagging > 0:
            self.lagging -= 1
            seen = self.store.versions()[: len(self.store.versions()) - self.lag]
        yield answer(self.queries[int(QueryExecutionId) - 1], seen)


COLUMNS = ("record_id", "event_time", "source", "label", "is_deleted", "api_invocation_time", "write_time")


INSERTED = 500  # rows per statement


@cache
def database() -> duckdb.DuckDBPyConnection:
    """A database of this process; to open one takes as long as a small test."""
    return duckdb.connect()


def answer(query: str, records: list[Record]) -> Record:
    """Athena's answer to a query of these records."""
    connection = database()
    schema = ", ".join(f"{name} {'BOOLEAN' if name == 'is_deleted' else 'TEXT'}" for name in COLUMNS)
    connection.execute(f'CREATE OR REPLACE TABLE "retrain_records_""1""" ({schema})')
    for start in range(0, len(records), INSERTED):
        values: list[Any] = []
        for number, row in enumerate(records[start : start + INSERTED], start):
            written = {"is_deleted": False, "api_invocation_time": f"{number:09}", **row}
            values += [written.get(name) for name in COLUMNS]
        places = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * (len(values) // len(COLUMNS)))
        connection.execute(f'INSERT INTO "retrain_records_""1""" VALUES {places}', values)
    rows = connection.execute(query).fetchall()
    header = tuple(column[0] for column in connection.description or [])
    cells = [
        [{} if value is None else {"VarCharValue": str(value)} for value in values]
        for values in [header, *rows]
    ]
    return {"ResultSet": {"Rows": [{"Data": values} for values in cells]}}


class Job:
    """An `ingest` job's folder and the services that it talks to."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.store = FeatureStore()
        self.athena = Athena(self.store)
        self.objects: list[Record] = []
        self.more: Record = {}  # of the plan
        self.done = 0  # objects of earlier runs
        (base / "processing/input/raw").mkdir(parents=True)
        (base / "processing/input/plan").mkdir()

    def put(self, key: str, content: bytes, planned: bool = True) -> None:
        """An object, and its entry in the plan."""
        path = self.base / "processing/input/raw" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if planned:
            self.plan(key, len(content))

    def plan(self, key: str, size: int = 1) -> None:
        """An entry in the plan."""
        at = f"2026-11-23T03:07:15.{self.done + len(self.objects):03}Z"
        self.objects.append({"key": key, "etag": f"etag-{key}", "size": size, "eventTime": at})

    def next_run(self) -> None:
        """The files of this run are done; event times go on."""
        shutil.rmtree(self.base / "processing")
        (self.base / "processing/input/raw").mkdir(parents=True)
        (self.base / "processing/input/plan").mkdir()
        self.done += len(self.objects)
        self.objects = []

    def configure(self, name: str, content: Record) -> None:
        """A configuration file, as SageMaker leaves it."""
        file = self.base / f"config/{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))

    def write_plan(self) -> None:
        plan = self.base / "processing/input/plan/plan.json"
        plan.write_text(json.dumps({"objects": self.objects, **self.more}))

    def run(self, s3: Any = None, **environment: str) -> None:
        """Run it with the objects of its folder, or of a bucket that `BUCKET_NAME` names."""
        self.write_plan()
        ingest(self.base, ENVIRONMENT | environment, self.store, cast(Any, self.athena), s3)

    def report(self) -> Record:
        """The report, whose counts always add up."""
        content: Record = json.loads((self.base / "processing/output/report/algo-1.json").read_text())
        for file in content["files"]:
            assert file["rows"] == file["ingested"] + file["skipped"] + file["quarantined"]
            if file["lines"] and not file["reason"]:
                counts = dict(file["lines"])
                assert counts.pop("read") == sum(counts.values())
            assert (file["verdict"] == "INGESTED") == (file["reason"] is None)
        return content

    def account(self, key: str) -> Record:
        """A file's entry in the report."""
        [entry] = [file for file in self.report()["files"] if file["key"] == key]
        return dict(entry)

    def quarantined(self, key: str) -> list[Record]:
        """What stands in quarantine of a file."""
        file = self.base / "processing/output/quarantine/algo-1.jsonl"
        lines = map(json.loads, file.read_text().splitlines()) if file.exists() else []
        return [line for line in lines if line["file"] == key]

    def stored(self, key: str) -> list[Record]:
        """The records of a file, sorted by identifier."""
        return [row for row in self.store.records() if row["source"] == key]
