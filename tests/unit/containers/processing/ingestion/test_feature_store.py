from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from processing.errors import RecordError
from processing.ingestion import feature_store
from processing.ingestion.report import WriteCounts
from processing.ingestion.rows import Row
from tests.unit.containers.processing.ingest_job import FeatureStore, Record, throttled

Write = Callable[..., Any]


@pytest.fixture(autouse=True)
def without_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "PAUSE_S", 0.001)
    monkeypatch.setattr(feature_store, "MAX_PAUSE_S", 0.01)


@pytest.fixture
def store() -> FeatureStore:
    return FeatureStore()


@pytest.fixture
def write(store: FeatureStore) -> Write:
    """Write as many rows; returns the effort."""

    def write(count: int, size: int = 10) -> Any:
        effort = WriteCounts()
        rows = [Row(f"{i:05}", "a" * size, "pos", "") for i in range(count)]
        with feature_store.RecordWriter(store, "retrain-records", effort) as writer:
            writer.write(iter(rows), "raw/a.csv", "2026-11-23T03:07:15.001Z", count)
        return effort

    return write


def identifiers(store: FeatureStore) -> list[str]:
    return [row["record_id"] for row in store.records()]


@pytest.mark.parametrize("count", [0, 1, 25, 26, 1000])
def test_writes_25_records_a_call(write: Write, store: FeatureStore, count: int) -> None:
    effort = write(count)
    assert identifiers(store) == [f"{i:05}" for i in range(count)]
    assert (effort.records, effort.calls, effort.retries) == (count, -(-count // 25), 0)


def test_large_records_go_in_smaller_calls(write: Write, store: FeatureStore) -> None:
    write(40, size=350_000)
    assert max(store.batches) == (4 << 20) // 350_000
    assert len(store.records()) == 40


@pytest.mark.parametrize(
    "error",
    [
        throttled(),
        throttled("ServiceUnavailable", 503),
        throttled("SomethingNew", 500),
        throttled("SomethingNew", 429),
        EndpointConnectionError(endpoint_url="https://example.com"),
        ReadTimeoutError(endpoint_url="https://example.com"),
    ],
)
def test_calls_again_when_it_may_help(write: Write, store: FeatureStore, error: Exception) -> None:
    store.answers = [error, error, error]
    effort = write(100)
    assert len(store.records()) == 100
    assert (effort.records, effort.calls, effort.retries) == (100, 7, 3)


def test_writes_unprocessed_entries_again(write: Write, store: FeatureStore) -> None:
    store.answers = [25, 7, 3, 0, 25, 24, 1]
    effort = write(50)
    assert identifiers(store) == [f"{i:05}" for i in range(50)]
    assert len(store.writes) == 50
    assert effort.records == 50
    assert effort.calls == len(store.batches) == 2 + effort.retries


def test_failed_entry_of_a_passing_error_is_written_again(write: Write, store: FeatureStore) -> None:
    store.answers = ["ThrottlingException", "InternalFailure"]
    write(3)
    assert identifiers(store) == ["00000", "00001", "00002"]


def test_failed_entry_is_named(write: Write, store: FeatureStore) -> None:
    store.answers = ["ValidationException"]
    with pytest.raises(RecordError) as caught:
        write(3)
    assert str(caught.value) == (
        "the feature group retrain-records refuses record '00000' of raw/a.csv: ValidationException: because"
    )


def test_refused_call_raises_at_once(write: Write, store: FeatureStore) -> None:
    store.answers = [throttled("AccessForbidden", 403)]
    with pytest.raises(RecordError, match="records '00000' to '00002' of raw"):
        write(3)
    assert len(store.batches) == 1


def test_gives_up_after_a_dozen_attempts(write: Write, store: FeatureStore) -> None:
    store.answers = [throttled()] * 100
    with pytest.raises(RecordError) as caught:
        write(25)
    assert "did not take record '00000' of raw/a.csv in 12 attempts: An error occurred (Thro" in str(
        caught.value
    )
    assert len(store.batches) == 12


def test_progress_starts_the_count_of_attempts_anew(write: Write, store: FeatureStore) -> None:
    store.answers = [*[throttled()] * 11, 24, *[throttled()] * 11]
    write(25)
    assert len(store.records()) == 25


def test_reads_no_further_ahead_than_calls_can_take() -> None:
    read, ahead = 0, []

    class Counting(FeatureStore):
        def batch_write_record(self, *, Entries: list[Record]) -> Record:
            ahead.append(read - len(self.writes))
            return super().batch_write_record(Entries=Entries)

    def rows() -> Iterator[Any]:
        nonlocal read
        for i in range(5000):
            read += 1
            yield Row(str(i), "text", "pos", "")

    store, effort = Counting(), WriteCounts()
    with feature_store.RecordWriter(store, "retrain-records", effort) as writer:
        writer.write(rows(), "raw/a.csv", "2026-11-23T03:07:15.001Z", 5000)
    assert max(ahead) <= 25 * (feature_store.MAX_PENDING_BATCHES + 2)
    assert len(store.records()) == 5000
