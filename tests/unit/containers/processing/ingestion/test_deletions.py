import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from processing.errors import PlanError, RecordError, RejectedFilesError, VisibilityError
from processing.ingestion import deletions, offline_store, record_deleter
from processing.ingestion.instances import Instances
from tests.unit.containers.processing.ingest_job import Job, Record, record, throttled, to_csv

CASES = Path(__file__).parents[4] / "cases"
REPLACED = {"forgets": False, "ids": 0, "unknownIds": []}


@pytest.fixture(autouse=True)
def without_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline_store, "QUERY_PAUSE_S", 0.001)
    monkeypatch.setattr(offline_store, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(record_deleter, "PAUSE_S", 0.001)


class Runs:
    """Runs of `ingest` one after another over one feature store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.job = self.next()

    def next(self) -> Job:
        """The next run's job."""
        self.number += 1
        earlier = getattr(self, "job", None)
        self.job = Job(self.folder / str(self.number))
        if earlier is not None:
            self.job.store = self.job.athena.store = earlier.store
        return self.job

    def upload(self, replaces: bool = False, **files: bytes) -> Job:
        """A run that ingests these files, in the order of their arrival."""
        job = self.next()
        for name, content in files.items():
            job.put(f"raw/{name}.csv", content)
            job.objects[-1] |= {"eventTime": self.time(len(job.objects))}
            if replaces:
                job.objects[-1]["replaces"] = True
        job.run()
        return job

    def forget(self, files: tuple[str, ...] = (), ids: tuple[str, ...] = ()) -> Job:
        """A run that ingests nothing and forgets."""
        job = self.next()
        listed = [{"key": f"raw/{name}.csv"} for name in files]
        job.more = {"forget": {"at": self.time(59), "files": listed, "ids": ids}, "forgottenIds": ids}
        job.run()
        return job

    def time(self, seconds: int) -> str:
        return f"2026-11-23T{self.number:02}:00:{seconds:02}.000Z"

    def live(self, as_of: str = "9") -> dict[str, str]:
        """The file that gave each record which is not deleted, as the dataset's query finds it."""
        latest: dict[str, tuple[str, str | None]] = {}
        for version in self.job.store.versions():
            name, at, source = version["record_id"], version["event_time"], version.get("source")
            if at <= as_of and at >= latest.get(name, ("", None))[0]:
                latest[name] = (at, source)
        return {name: source for name, (_, source) in sorted(latest.items()) if source}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def rows(*names: str, label: str = "pos") -> bytes:
    return to_csv([record(name, label) for name in names])


def without_ids(*texts: str) -> bytes:
    return to_csv([{"text": text, "label": "pos"} for text in texts])


def test_a_row_that_a_replaced_file_no_longer_has_is_deleted_when_it_arrived(runs: Runs) -> None:
    runs.upload(a=rows("1", "2", "3"))
    before, earlier = runs.live(), runs.time(59)
    job = runs.upload(replaces=True, a=rows("2", "4"))
    assert runs.live() == {"2": "raw/a.csv", "4": "raw/a.csv"}
    assert sorted(job.store.deletions) == [("1", runs.time(1)), ("3", runs.time(1))]
    assert job.report()["deletions"] == REPLACED | {"files": {"raw/a.csv": 2}}
    assert runs.live(as_of=earlier) == before


def test_a_first_upload_costs_no_query_of_what_to_delete(runs: Runs) -> None:
    job = runs.upload(a=rows("1"))
    assert len(job.athena.queries) == 1
    assert "deletions" not in job.report()


def test_rows_without_ids_go_away_with_their_text(runs: Runs) -> None:
    runs.upload(a=without_ids("good", "bad", "ugly"))
    runs.upload(replaces=True, a=without_ids("good", "corrected"))
    assert len(runs.live()) == 2
    assert len(runs.job.store.deletions) == 2


def test_a_record_that_another_file_gave_since_stays(runs: Runs) -> None:
    runs.upload(a=rows("1", "2"))
    runs.upload(b=rows("2"))
    runs.upload(replaces=True, a=rows("1"))
    assert runs.live() == {"1": "raw/a.csv", "2": "raw/b.csv"}
    assert runs.job.store.deletions == []


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_row_that_moves_to_another_file_of_the_same_run_stays(runs: Runs, order: str) -> None:
    runs.upload(a=rows("1", "2", "3"))
    files = {"a": rows("1"), "b": rows("2")}
    runs.upload(replaces=True, **{name: files[name] for name in order})
    assert runs.live() == {"1": "raw/a.csv", "2": "raw/b.csv"}
    assert [name for name, _ in runs.job.store.deletions] == ["3"]
    assert runs.job.report()["deletions"]["files"] == {"raw/a.csv": 1}


def test_rows_that_two_files_swap_are_not_deleted(runs: Runs) -> None:
    runs.upload(a=rows("1", "x"), b=rows("2", "y"))
    job = runs.upload(replaces=True, a=rows("1", "y"), b=rows("2", "x"))
    assert runs.live() == {"1": "raw/a.csv", "2": "raw/b.csv", "x": "raw/b.csv", "y": "raw/a.csv"}
    assert job.store.deletions == []
    job.run()
    assert job.report()["deletions"]["files"] == {}


def test_a_forgotten_id_of_a_replaced_file_is_deleted_and_counted_once(runs: Runs) -> None:
    runs.upload(a=rows("1", "2", "3"))
    job = runs.next()
    job.put("raw/a.csv", rows("1", "2"))
    job.objects[-1] |= {"eventTime": runs.time(1), "replaces": True}
    job.more = {"forget": {"at": runs.time(59), "ids": ["2"]}, "forgottenIds": ["2"]}
    for _ in range(2):
        job.run()
        assert job.report()["deletions"] == REPLACED | {"forgets": True, "files": {"raw/a.csv": 1}, "ids": 1}
    assert runs.live() == {"1": "raw/a.csv"}
    assert sorted(set(job.store.deletions)) == [("2", runs.time(59)), ("3", runs.time(1))]


def test_a_reverted_file_has_the_rows_of_its_last_upload(runs: Runs) -> None:
    first, second = rows("1", "2"), rows("2", "3", label="neg")
    runs.upload(a=first)
    runs.upload(replaces=True, a=second)
    runs.upload(replaces=True, a=first)
    assert runs.live() == {"1": "raw/a.csv", "2": "raw/a.csv"}
    last = [row["label"] for row in runs.job.store.records() if row["record_id"] == "2"][-1]
    assert last == "pos"


def test_a_correction_in_the_cases_leaves_the_rows_of_the_corrected_file(runs: Runs) -> None:
    runs.upload(c=(CASES / "corrected-v1.csv").read_bytes())
    runs.upload(replaces=True, c=(CASES / "corrected-v2.csv").read_bytes())
    assert len(runs.live()) == 8


def test_a_file_that_is_quarantined_whole_deletes_nothing(runs: Runs) -> None:
    runs.upload(a=rows("1", "2"))
    runs.upload(replaces=True, a=b"not,what\nit,was\n", b=rows("9"))
    assert runs.live() == {"1": "raw/a.csv", "2": "raw/a.csv", "9": "raw/b.csv"}


def test_a_repeated_run_deletes_and_reports_the_same(runs: Runs) -> None:
    runs.upload(a=rows("1", "2", "3"))
    job = runs.upload(replaces=True, a=rows("2"))
    report, live = job.report()["deletions"], runs.live()
    job.run()
    assert job.report()["deletions"] == report == REPLACED | {"files": {"raw/a.csv": 2}}
    assert runs.live() == live
    assert set(job.store.deletions) == {("1", runs.time(1)), ("3", runs.time(1))}


def test_a_repeated_run_keeps_a_row_that_its_first_attempt_deleted(runs: Runs) -> None:
    runs.upload(a=rows("1", "2", "3"))
    runs.job.store.answers = ["ValidationError"]
    job = runs.upload(replaces=True, a=rows("1", "2"))
    assert runs.live() == {"2": "raw/a.csv"}
    job.run()
    assert runs.live() == {"1": "raw/a.csv", "2": "raw/a.csv"}
    assert job.report()["deletions"]["files"] == {"raw/a.csv": 1}
    job.run()
    assert runs.live() == {"1": "raw/a.csv", "2": "raw/a.csv"}


def test_what_a_failed_run_wrote_of_another_version_is_deleted_too(runs: Runs) -> None:
    runs.upload(a=rows("1"))
    runs.upload(replaces=True, a=rows("1", "2"))  # it is in no ledger if the run fails after its ingestion
    runs.upload(replaces=True, a=rows("1"))
    assert runs.live() == {"1": "raw/a.csv"}


def test_a_record_can_come_back_after_its_deletion(runs: Runs) -> None:
    runs.upload(a=rows("1", "2"))
    runs.upload(replaces=True, a=rows("1"))
    runs.upload(replaces=True, a=rows("1", "2"))
    assert runs.live() == {"1": "raw/a.csv", "2": "raw/a.csv"}


def test_a_key_with_a_quotation_mark_is_only_a_key(runs: Runs) -> None:
    runs.upload(replaces=False, **{"it's a' OR 'b": rows("1", "2"), "other": rows("3")})
    runs.upload(replaces=True, **{"it's a' OR 'b": rows("2")})
    assert runs.live().keys() == {"2", "3"}


def test_a_forgotten_file_and_a_forgotten_id_have_no_record(runs: Runs) -> None:
    runs.upload(a=rows("1", "2"), b=rows("2", "3", "4"))
    job = runs.forget(files=("a", "b"), ids=("3", "99", "4.0"))
    assert runs.live() == {}
    assert job.report()["deletions"] == {
        "forgets": True,
        "files": {"raw/a.csv": 1, "raw/b.csv": 1},
        "ids": 2,
        "unknownIds": ["99"],
    }
    assert {at for _, at in job.store.deletions} == {runs.time(59)}


def test_what_is_to_be_forgotten_does_not_wait_for_a_good_file(runs: Runs) -> None:
    runs.upload(a=rows("1", "2"), b=rows("3"))
    job = runs.next()
    job.put("raw/bad.csv", b"nonsense\n1\n")
    job.more = {"forget": {"at": runs.time(59), "files": [{"key": "raw/b.csv"}], "ids": ["1"]}}
    job.run()
    assert runs.live() == {"2": "raw/a.csv"}
    assert job.account("raw/bad.csv")["verdict"] == "QUARANTINED"


def test_a_replacement_that_is_refused_fails_like_any_file(runs: Runs) -> None:
    runs.upload(a=rows("1"))
    with pytest.raises(RejectedFilesError):
        runs.upload(replaces=True, a=b"nonsense\n1\n")


def test_a_forgotten_id_is_skipped_in_later_files(runs: Runs) -> None:
    job = runs.next()
    job.put("raw/a.csv", rows("1", "17"))
    job.more = {"forgottenIds": ["17"]}
    job.run()
    account = job.account("raw/a.csv")
    assert (account["ingested"], account["skips"]) == (1, {"its id is forgotten": 1})


def test_waits_until_every_deletion_is_visible(runs: Runs) -> None:
    runs.upload(a=rows("1", "2", "3"))
    job = runs.next()
    job.put("raw/a.csv", rows("3"))
    job.objects[-1] |= {"eventTime": runs.time(1), "replaces": True}
    queries: list[str] = []
    start = job.athena.start_query_execution

    def lag_after_the_third(**request: Any) -> Record:
        queries.append(request["QueryString"])
        if len(queries) == 3:  # visible, to delete, deleted
            job.athena.lag, job.athena.lagging = 1, 2
        return start(**request)

    job.athena.start_query_execution = lag_after_the_third  # type: ignore[method-assign]
    job.run()
    assert len(queries) == 5


def test_says_how_many_deletions_are_missing(runs: Runs) -> None:
    runs.upload(a=rows("1", "2"))
    job = runs.next()
    job.more = {"forget": {"at": runs.time(59), "files": [{"key": "raw/a.csv"}]}}
    read = job.athena.paginate
    visible = lambda **request: read(**request) if "lead" in job.athena.queries[-1] else iter([])  # noqa: E731
    job.athena.paginate = visible  # type: ignore[method-assign]
    with pytest.raises(VisibilityError, match=r"0 of 2 records .* \(deletions: 0 of 2\)"):
        job.run(OFFLINE_STORE_TIMEOUT_MINUTES="0.0001")
    assert job.report()["deletions"]["files"] == {"raw/a.csv": 2}


def test_deletions_are_sent_again_while_the_feature_store_is_busy(runs: Runs) -> None:
    runs.upload(a=rows("1", "2"))
    runs.job.store.refusals = [throttled(), throttled("InternalFailure", 500)]
    runs.forget(files=("a",))
    assert runs.live() == {}


def test_a_refused_deletion_names_the_record(runs: Runs) -> None:
    runs.upload(a=rows("1"))
    denied = {"Error": {"Code": "AccessForbidden", "Message": "not allowed"}}
    runs.job.store.refusals = [ClientError(denied, "DeleteRecord")]  # type: ignore[arg-type]
    with pytest.raises(RecordError, match=r"refuses the deletion of record '1': .*not allowed"):
        runs.forget(files=("a",))


def test_names_are_spread_over_queries(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.upload(a=rows("1", "2", "3"), b=rows("4"))
    monkeypatch.setattr(deletions, "QUERY_BYTES", 1)
    job = runs.forget(files=("a", "b"), ids=("1", "2"))
    assert runs.live() == {}
    assert sum("lead" in query for query in job.athena.queries) == 4


@pytest.mark.parametrize(
    "more",
    [
        {"forget": {"at": "now", "files": [{"key": "raw/a.csv"}]}},
        {"forget": {"files": [{"key": "raw/a.csv"}]}},
        {"forget": {"at": "2026-11-23T03:07:15.001Z", "files": ["raw/a.csv"]}},
        {"forgottenIds": [17]},
    ],
)
def test_a_plan_that_is_not_valid_deletes_nothing(runs: Runs, more: Record) -> None:
    job = runs.next()
    job.more = more
    with pytest.raises(PlanError, match=r"plan\.json"):
        job.run()
    assert job.store.deletions == []


class S3:
    """A bucket in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.awaited: list[Callable[[], None]] = []  # what happens before each next listing

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self.objects[f"{Bucket}/{Key}"] = Body

    def list_objects_v2(self, Bucket: str, Prefix: str) -> Record:
        if self.awaited:
            self.awaited.pop(0)()
        keys = [name.removeprefix(f"{Bucket}/") for name in self.objects]
        return {"Contents": [{"Key": key} for key in keys if key.startswith(Prefix)]}

    def get_object(self, Bucket: str, Key: str) -> Record:
        class Body:
            read = staticmethod(lambda: self.objects[f"{Bucket}/{Key}"])

        return {"Body": Body}


def test_the_first_instance_waits_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processing.ingestion.instances.POLL_S", 0.001)
    s3: Any = S3()
    hosts = ("algo-1", "algo-2", "algo-10")
    first, second, third = (Instances(host, hosts, "s3://data/runs/one/ingest/instances/j") for host in hosts)
    assert [each.first for each in (first, second, third)] == [True, False, False]
    third.publish(["raw/c.csv"], s3)
    s3.awaited = [lambda: None, lambda: second.publish(["raw/b.csv"], s3)]
    assert first.collect(["raw/a.csv"], s3) == ["raw/a.csv", "raw/b.csv", "raw/c.csv"]
    assert s3.objects.keys() == {f"data/runs/one/ingest/instances/j/algo-{number}" for number in (2, 10)}


def test_another_instance_deletes_nothing_and_says_what_it_has(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.upload(a=rows("1", "2"))
    s3 = S3()
    monkeypatch.setattr("boto3.client", lambda name: s3)
    job = runs.next()
    output = {"OutputName": "report", "S3Output": {"S3Uri": "s3://data/runs/one/ingest"}}
    arn = "arn:aws:sagemaker:eu-central-1:111122223333:processing-job/pipelines-x"
    config = {"ProcessingJobArn": arn, "ProcessingOutputConfig": {"Outputs": [output]}}
    job.configure("processingjobconfig", config)
    job.configure("resourceconfig", {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]})
    job.put("raw/a.csv", rows("2"))
    job.objects[-1]["replaces"] = True
    job.run()
    assert job.store.deletions == []
    assert json.loads(s3.objects["data/runs/one/ingest/instances/pipelines-x/algo-2"]) == ["raw/a.csv"]
