from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from processing.errors import RecordError
from processing.ingestion import feature_store
from processing.ingestion.refusals import Refusal
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


def test_a_refused_entry_is_returned_and_the_others_are_written(store: FeatureStore) -> None:
    store.answers = ["ValidationError", "SomethingNew"]
    refusals, effort = send(store, 50)
    assert sorted(refusals) == [
        ("00000", "ValidationError: because"),
        ("00025", "SomethingNew: because"),
    ]
    assert len(store.records()) == effort.records == 48


def send(store: FeatureStore, count: int) -> tuple[list[Refusal], WriteCounts]:
    """Write as many rows; returns what is refused, and the effort."""
    effort = WriteCounts()
    rows = [Row(f"{i:05}", "text", "pos", "") for i in range(count)]
    with feature_store.RecordWriter(store, "retrain-records", effort) as writer:
        return writer.write(iter(rows), "raw/a.csv", "2026-11-23T03:07:15.001Z", count), effort


class Strict(FeatureStore):
    """Refuses each call with one of these records."""

    def __init__(self, *bad: str, error: ClientError) -> None:
        super().__init__()
        self.bad, self.error = bad, error

    def batch_write_record(self, *, Entries: list[Record]) -> Record:
        ids = {value["ValueAsString"] for entry in Entries for value in entry["Record"]}
        if ids & set(self.bad):
            raise self.error
        return super().batch_write_record(Entries=Entries)


@pytest.mark.parametrize(
    "error",
    [throttled("ValidationException"), throttled("ValidationError"), throttled("RequestTooLong", 413)],
)
@pytest.mark.parametrize("bad", [["00000"], ["00007", "00008"], ["00024", "00025", "00099"]])
def test_a_call_refused_as_a_whole_costs_only_the_records_at_fault(
    error: ClientError, bad: list[str]
) -> None:
    store = Strict(*bad, error=error)
    refusals, effort = send(store, 100)
    assert sorted(item.record_id for item in refusals) == bad
    assert {item.reason for item in refusals} == {f"{error.response['Error']['Code']}: Rate exceeded"}
    assert identifiers(store) == [f"{i:05}" for i in range(100) if f"{i:05}" not in bad]
    assert effort.records == 100 - len(bad)


@pytest.mark.parametrize("code", ["AccessForbidden", "ResourceNotFound"])
def test_an_entrys_error_that_concerns_all_raises(write: Write, store: FeatureStore, code: str) -> None:
    store.answers = [code]
    with pytest.raises(RecordError) as caught:
        write(3)
    assert str(caught.value) == (
        f"the feature group retrain-records refuses record '00000' of raw/a.csv: {code}: because"
    )


@pytest.mark.parametrize(
    "error",
    [
        throttled("AccessForbidden", 403),
        throttled("AccessDeniedException"),
        throttled("ResourceNotFound", 404),
        throttled("ExpiredTokenException", 400),
    ],
)
def test_a_call_refused_for_all_raises_at_once(write: Write, store: FeatureStore, error: ClientError) -> None:
    store.answers = [error]
    with pytest.raises(RecordError, match="records '00000' to '00002' of raw"):
        write(3)
    assert len(store.batches) == 1


class Unfit(FeatureStore):
    """Refuses every record after the first ones."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.good = good

    def batch_write_record(self, *, Entries: list[Record]) -> Record:
        with self.lock:
            taken, refused = Entries[: self.good], Entries[self.good :]
            self.good -= len(taken)
        if taken:
            super().batch_write_record(Entries=taken)
        errors = [{"Entry": entry, "ErrorCode": "ValidationError", "ErrorMessage": "no"} for entry in refused]
        return {"UnprocessedEntries": [], "Errors": errors}


def test_a_group_that_refuses_most_records_fails_the_job() -> None:
    with pytest.raises(
        RecordError, match=r"refuses \d+ of [\d,]+ records, such as '\d+': ValidationError: no"
    ):
        send(Unfit(100), 10_000)


@pytest.mark.parametrize(("good", "count"), [(0, 249), (300, 600)])
def test_few_refusals_or_a_minor_part_do_not(good: int, count: int) -> None:
    refusals, _ = send(Unfit(good), count)
    assert len(refusals) == count - good


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
