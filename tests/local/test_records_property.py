"""Ingest, offline store, dataset: each record once, in its latest version, whatever the way of its events."""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import duckdb
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.featurestore import parquet
from localaws.sagemaker.featurestore.record_store import RecordStore, Write
from localaws.sagemaker.featurestore.schema import Schema
from localaws.sagemaker.jobs import inputs
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.platform.platform import Platform
from localaws.testing import Laptop, allow, wait_until
from localaws_tests import features
from localaws_tests.jobs import Bucket
from processing.dataset.create_dataset import create_dataset
from processing.ingestion import feature_store
from processing.ingestion.report import WriteCounts
from processing.ingestion.rows import Row
from tests.local.histories import MOMENTS, Delivery, Fault, Version, histories, latest

ROOT = Path(__file__).parents[2]
NAMES = ("record_id", "event_time", "text", "label", "split", "source")
# Not made smaller, which takes minutes: the failure names the one record's history anyway.
QUICKLY = settings(
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
AS_OF = st.lists(st.sampled_from(MOMENTS), min_size=1, max_size=3, unique=True)


class Store(Protocol):
    """A feature group on its way into Parquet."""

    written: int

    def batch_write_record(self, *, Entries: list[Document]) -> Document:
        """Write records."""

    def delete(self, key: str, moment: str) -> None:
        """Delete a record."""

    def flush(self, meanwhile: Callable[[], None]) -> None:
        """Write the offline store, and do something while that is under way."""

    def records(self, as_of: str, folder: Path) -> None:
        """What the pipeline's query finds, as Parquet files in a folder, when all is visible."""


class Flaky:
    """A feature store's runtime whose first calls go wrong."""

    def __init__(self, store: Store, faults: Iterator[Fault]) -> None:
        self._store = store
        self._faults = faults
        self._lock = threading.Lock()

    def batch_write_record(self, *, Entries: list[Document]) -> Document:
        with self._lock:
            fault = next(self._faults, "none")
        if fault == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "BatchWriteRecord")
        taken = Entries[: len(Entries) // 2] if fault == "unprocessed" else Entries
        if taken:
            self._store.batch_write_record(Entries=taken)
            with self._lock:
                self._store.written += len(taken)
        if fault == "answer lost":
            raise ConnectionClosedError(endpoint_url="http://127.0.0.1")
        return {"Errors": [], "UnprocessedEntries": Entries[len(taken) :]}


class Container:
    """The code of the image that ingests records and makes datasets of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(feature_store, "PAUSE_S", 0.001)

    def ingest(self, store: Store, group: str, history: list[Delivery]) -> None:
        """Deliver a history."""
        for delivery in history:
            deliver = functools.partial(self._deliver, store, group, delivery)
            if delivery.flushing:
                store.flush(deliver)
            else:
                deliver()

    def _deliver(self, store: Store, group: str, delivery: Delivery) -> None:
        changes, moment = delivery.event.changes, delivery.event.moment
        found = [(key, changes[key]) for key in delivery.keys]
        rows = [Row(key, row.text, row.label, row.split) for key, row in found if row]
        effort = WriteCounts()
        self.monkeypatch.setattr(feature_store, "BATCH_RECORDS", delivery.batch)
        flaky = Flaky(store, iter(delivery.faults))
        with feature_store.RecordWriter(flaky, group, effort) as writer:
            writer.write(rows, "raw/a.csv", moment, len(rows))
        assert effort.records == len(rows)
        for key, row in found:
            if row is None:
                store.delete(key, moment)
                store.written += 1

    def dataset_of(self, store: Store, as_of: str) -> dict[str, Version]:
        """What the dataset as of a moment has, each record once."""
        with TemporaryDirectory() as folder:
            base = Path(folder)
            records = base / "processing/input/records"
            records.mkdir(parents=True)
            store.records(as_of, records)
            create_dataset(base, {"AS_OF": as_of})
            return _found(base / "processing/output")


def _found(output: Path) -> dict[str, Version]:
    labels = {row["id"]: row["label"] for row in _lines(output / "labels/labels.jsonl")}
    found: dict[str, Version] = {}
    for split in ("train", "validation", "test"):
        for row in _lines(output / f"{split}/{split}.jsonl"):
            assert row["id"] not in found
            found[row["id"]] = Version(row["text"], row.get("label") or labels.pop(row["id"]), split)
    assert labels == {}
    report = json.loads((output / "report/dataset.json").read_text())
    assert report["rows"] == len(found)
    return found


def _lines(file: Path) -> Iterator[Document]:
    return map(json.loads, file.read_text("utf-8").splitlines())


def _check(found: dict[str, Version], history: list[Delivery], as_of: str) -> None:
    """Fail with each record that is not what it has to be, and with all that was delivered of it."""
    expected = latest(history, as_of)
    for key in sorted(found.keys() | expected.keys()):
        has, wanted = found.get(key), expected.get(key)
        if has and wanted and not wanted.split:
            has = Version(has.text, has.label, "")  # a hash of the id has chosen
        events = [(each.event.moment, each.event.changes[key]) for each in history if key in each.keys]
        assert has == wanted, f"{key} as of {as_of}, delivered as {events}"


def definition(table: str, as_of: str) -> Document:
    """The AthenaDatasetDefinition's input as the deployed pipeline has it, its parameters replaced."""
    pipeline = json.loads((ROOT / "pipeline/rendered/definition.json").read_text())
    step = next(step for step in pipeline["Steps"] if step["Name"] == "CreateDataset")
    parameters = {"OfflineStoreDatabase": "sagemaker_featurestore", "OfflineStoreTable": table, "AsOf": as_of}
    found: Document = _resolved(step["Arguments"]["ProcessingInputs"][0], parameters)
    return found


def _resolved(value: Any, parameters: dict[str, str]) -> Any:
    match value:
        case {"Get": path}:
            return parameters.get(path.removeprefix("Parameters."), "")
        case {"Std:Join": {"On": separator, "Values": values}}:
            return separator.join(_resolved(item, parameters) for item in values)
        case dict():
            return {name: _resolved(item, parameters) for name, item in value.items()}
        case _:
            return value


def _now() -> int:
    return time.time_ns() // 1000


class Laptops:
    """A new feature group of a running localaws."""

    def __init__(self, laptop: Laptop, platform: Platform, bucket: Bucket, role_arn: str) -> None:
        types = dict.fromkeys(NAMES, "String")
        offline = features.offline(bucket, role_arn)
        self.group = features.created(laptop, FeatureDefinitions=features.definitions(**types), **offline)
        self.name = self.group["FeatureGroupName"]
        self.written = 0
        self._laptop, self._platform, self._bucket, self._role_arn = laptop, platform, bucket, role_arn
        self._runtime = laptop.client("sagemaker-featurestore-runtime")

    def batch_write_record(self, *, Entries: list[Document]) -> Document:
        answer: Document = self._runtime.batch_write_record(Entries=Entries)
        return answer

    def delete(self, key: str, moment: str) -> None:
        self._runtime.delete_record(
            FeatureGroupName=self.name, RecordIdentifierValueAsString=key, EventTime=moment
        )

    def flush(self, meanwhile: Callable[[], None]) -> None:
        time.sleep(0.2)  # it writes when it does
        meanwhile()

    def wait(self) -> None:
        """Until every write is visible, and none twice."""

        def visible() -> bool:
            [[count]] = features.rows(self._laptop, self._bucket, self.group, "count(*)")
            assert int(count) <= self.written
            return int(count) == self.written

        wait_until(visible)

    def records(self, as_of: str, folder: Path) -> None:
        table = self.group["OfflineStoreConfig"]["DataCatalogConfig"]["TableName"]
        item = definition(table, as_of)
        item["DatasetDefinition"]["AthenaDatasetDefinition"]["OutputS3Uri"] = self._bucket.uri("datasets")
        name = f"{self.name}-{MOMENTS.index(as_of)}"
        job = Job(name, name, {"ProcessingInputs": [item]}, self._role_arn, self._platform, name)
        [found] = inputs.resolve(job)
        job.storage.download(found.objects, folder)


class Files:
    """A feature group whose offline store is a folder."""

    def __init__(self, folder: Path, engine: duckdb.DuckDBPyConnection) -> None:
        self.written = 0
        self._folder = folder
        self._engine = engine
        self._store = RecordStore(folder / "records.db")
        self._schema = Schema("record_id", "event_time", dict.fromkeys(NAMES, "String"))
        self._late: int | None = None

    def batch_write_record(self, *, Entries: list[Document]) -> Document:
        records = [self._schema.record(entry["Record"]) for entry in Entries]
        self._write([Write(1, record, online=True, offline=True) for record in records])
        return {}

    def delete(self, key: str, moment: str) -> None:
        self._write([Write(1, self._schema.deletion_marker(key, moment), True, True, deleted=True)])

    def _write(self, writes: list[Write]) -> None:
        self._store.write(writes, self._late or _now())

    def flush(self, meanwhile: Callable[[], None]) -> None:
        until = _now()
        with TemporaryDirectory(dir=self._folder) as scratch:
            batch = parquet.collect(self._store.due(1, until, 1000), Path(scratch))
            if batch is None:
                meanwhile()
                return
            types, data = self._schema.types, Path(scratch, "data")
            files = list(parquet.convert(self._engine, batch, types, until, data))
            self._keep(files[0], batch.last, until)
            self._late = until  # what comes now was called before, and had to wait
            meanwhile()
            self._late = None
            for file in files[1:]:
                self._keep(file, batch.last, until)

    def _keep(self, file: parquet.File, last: int, until: int) -> None:
        target = self._folder / "store" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.path.rename(target)
        self._store.forget(1, last, until, file.hour, file.hour + parquet.HOUR)

    def records(self, as_of: str, folder: Path) -> None:
        self.flush(lambda: None)
        query = definition("records", as_of)["DatasetDefinition"]["AthenaDatasetDefinition"]["QueryString"]
        table = self._engine.read_parquet(f"{self._folder}/store/**/*.parquet", hive_partitioning=True)
        table.create_view("records")
        assert table.shape[0] == self.written
        self._engine.execute(f"COPY ({query}) TO '{folder}/rows' (FORMAT parquet)")

    def close(self) -> None:
        self._store.close()


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(parquet.engine()) as engine:
        yield engine


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Container:
    return Container(monkeypatch)


@given(history=histories(), moments=AS_OF)
@settings(QUICKLY, max_examples=30)
def test_each_record_is_there_once_in_its_latest_version(
    engine: duckdb.DuckDBPyConnection, container: Container, history: list[Delivery], moments: list[str]
) -> None:
    with TemporaryDirectory() as folder, closing(Files(Path(folder), engine)) as store:
        container.ingest(store, "records", history)
        for as_of in moments:
            _check(container.dataset_of(store, as_of), history, as_of)


@given(history=histories(), moments=AS_OF)
@settings(QUICKLY, max_examples=6)
def test_each_record_is_there_once_in_its_latest_version_over_http(
    laptop: Laptop,
    platform: Platform,
    bucket: Bucket,
    role_arn: str,
    container: Container,
    history: list[Delivery],
    moments: list[str],
) -> None:
    use = allow("s3:*", resource=f"arn:aws:s3:::{bucket.name}*")
    laptop.allow(role_arn, use, allow("athena:*", "glue:Get*"))
    store = Laptops(laptop, platform, bucket, role_arn)
    container.ingest(store, store.name, history)
    store.wait()
    for as_of in moments:
        _check(container.dataset_of(store, as_of), history, as_of)
