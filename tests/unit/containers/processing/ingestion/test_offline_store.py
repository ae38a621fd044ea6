from pathlib import Path

import pytest

from processing.errors import VisibilityError
from processing.ingestion import offline_store
from tests.unit.containers.processing.ingest_job import GOOD, Job, record, to_csv


@pytest.fixture(autouse=True)
def without_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline_store, "QUERY_PAUSE_S", 0.001)
    monkeypatch.setattr(offline_store, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(offline_store, "MAX_PAUSE_S", 0.001)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = Job(tmp_path / "ml")
    job.put("raw/a.csv", to_csv(GOOD))
    job.put("raw/b.csv", to_csv([record(str(i)) for i in range(30)]))
    return job


def test_waits_until_every_record_is_visible(job: Job) -> None:
    job.athena.lag, job.athena.lagging = 3, 4
    job.run()
    assert len(job.athena.queries) == 5
    assert job.athena.queries[0] == (
        'SELECT source, event_time, count(DISTINCT record_id) FROM "retrain_records_""1""" WHERE event_time '
        "BETWEEN '2026-11-23T03:07:15.000Z' AND '2026-11-23T03:07:15.001Z' GROUP BY source, event_time"
    )


def test_says_what_is_missing_when_the_bound_is_reached(job: Job) -> None:
    job.athena.lag, job.athena.lagging = 3, 10_000
    with pytest.raises(VisibilityError) as caught:
        job.run(OFFLINE_STORE_TIMEOUT_MINUTES="0.001")
    assert str(caught.value) == (
        "31 of 34 records are visible in the offline store after 0.001 minutes (raw/b.csv: 27 of 30). The "
        "others are written and will appear: start the workflow again, or raise the stack's "
        "OfflineStoreTimeoutMinutes"
    )
    assert [file["ingested"] for file in job.report()["files"]] == [4, 30]


def test_waits_for_a_query_that_runs(job: Job) -> None:
    job.athena.states = [{"State": "QUEUED"}, {"State": "RUNNING"}]
    job.run()
    assert len(job.athena.queries) == 1


def test_queries_again_when_athena_says_that_it_helps(job: Job) -> None:
    retryable = {"State": "FAILED", "AthenaError": {"Retryable": True}, "StateChangeReason": "exhausted"}
    job.athena.states = [retryable, retryable]
    job.run()
    assert len(job.athena.queries) == 3


def test_reports_why_a_query_failed(job: Job) -> None:
    job.athena.states = [{"State": "FAILED", "StateChangeReason": "TABLE_NOT_FOUND: line 1:62"}]
    with pytest.raises(VisibilityError, match=r"Athena cannot read .*: TABLE_NOT_FOUND"):
        job.run()


def test_a_query_that_does_not_end_is_stopped(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline_store, "MAX_QUERY_S", 0.01)
    job.athena.states = [{"State": "RUNNING"}] * 100_000
    with pytest.raises(VisibilityError, match="0 of 34 records are visible"):
        job.run(OFFLINE_STORE_TIMEOUT_MINUTES="0.002")
    assert job.athena.stopped


def test_a_timeout_reports_what_an_earlier_query_saw(job: Job) -> None:
    job.athena.lag, job.athena.lagging = 3, 10_000
    failing = [{"State": "FAILED", "AthenaError": {"Retryable": True}}] * 10_000
    job.athena.states = [{"State": "SUCCEEDED"}, *failing]
    with pytest.raises(VisibilityError, match="31 of 34 records are visible"):
        job.run(OFFLINE_STORE_TIMEOUT_MINUTES="0.002")


def test_records_of_the_same_source_from_another_time_do_not_count(job: Job) -> None:
    job.run()
    job.store.writes = [row | {"event_time": "2026-11-22T00:00:00.000Z"} for row in job.store.writes]
    job.athena.lag, job.athena.lagging = 34, 1
    job.run()
    assert len(job.athena.queries) == 3
