import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processing.dataset import records
from processing.dataset.create_dataset import create_dataset
from processing.errors import DatasetError, RejectedFilesError, SettingsError
from processing.ingestion import contract

FOLDER = Path(__file__).parents[5] / "containers/processing"
Record = dict[str, str | None]

AS_OF = "2026-11-23T04:00:00.000Z"
COLUMNS = ("record_id", "event_time", "text", "label", "split", "source")
NAMES = ("train", "validation", "test", "labels")
ROW_GROUP = 2048  # rows, the fewest that DuckDB writes


def record(key: str, label: str = "pos", split: str | None = None, **more: str | None) -> Record:
    values: Record = {"record_id": key, "event_time": "2026-11-23T03:07:15.001Z", "text": f"text of {key}"}
    return values | {"label": label, "split": split, "source": "raw/a.csv"} | more


# The hash of the first two's ids leaves them to train.
GOOD = [
    record("1"),
    record("2", "neg"),
    record("3", split="validation"),
    record("4", split="test"),
    record("5", "neg", "test", source="raw/b.csv"),
]

NO_LABELS: dict[str, Any] = {"newLabels": {}, "heldLabels": []}
Reported = dict[str, Any]  # of a file, by an instance of `ingest`


class Job:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.records = base / "processing/input/records"
        self.records.mkdir(parents=True)

    def put(self, rows: list[Record], name: str = "part-0", columns: tuple[str, ...] = COLUMNS) -> None:
        """A Parquet file as Athena leaves it: without a suffix."""
        source = self.base / "rows.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        schema = dict.fromkeys(columns, "VARCHAR")
        with duckdb.connect() as database:
            rows_of = database.read_json(str(source), columns=schema, format="newline_delimited")
            rows_of.write_parquet(str(self.records / name), row_group_size=ROW_GROUP)

    def put_ingested(self, host: str, *files: Reported, **more: Any) -> None:
        """What an instance of `ingest` reports."""
        file = self.base / f"processing/input/ingest/{host}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"files": files, "records": 0, **more}))

    def run(self, as_of: str = AS_OF) -> None:
        create_dataset(self.base, {"AS_OF": as_of})

    def content(self, name: str) -> bytes:
        return (self.base / f"processing/output/{name}/{name}.jsonl").read_bytes()

    def rows(self, name: str) -> list[Record]:
        return [json.loads(line) for line in self.content(name).splitlines()]

    def splits(self) -> dict[str, str]:
        """Each id's split."""
        return {str(row["id"]): name for name in NAMES[:3] for row in self.rows(name)}

    def report(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            (self.base / "processing/output/report/dataset.json").read_text("utf-8")
        )
        return content

    def reason(self, rows: list[Record], as_of: str = AS_OF) -> str:
        """Why these rows make no dataset."""
        self.put(rows)
        with pytest.raises((SettingsError, DatasetError)) as caught:
            self.run(as_of)
        assert not (self.base / "processing/output").exists()
        return str(caught.value)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_writes_each_split_and_its_report(job: Job) -> None:
    job.put(GOOD[::-1])
    job.run()
    assert job.rows("train") == [
        {"id": "1", "text": "text of 1", "label": "pos"},
        {"id": "2", "text": "text of 2", "label": "neg"},
    ]
    assert job.rows("validation") == [{"id": "3", "text": "text of 3", "label": "pos"}]
    assert job.rows("test") == [{"id": "4", "text": "text of 4"}, {"id": "5", "text": "text of 5"}]
    assert job.rows("labels") == [
        {"id": "4", "label": "pos", "source": "raw/a.csv"},
        {"id": "5", "label": "neg", "source": "raw/b.csv"},
    ]
    report = job.report()
    assert len(report.pop("sha256")) == 64
    assert report == {
        "asOf": AS_OF,
        "query": None,
        "rows": 5,
        "splits": {
            "train": {"rows": 2, "labels": {"neg": 1, "pos": 1}},
            "validation": {"rows": 1, "labels": {"pos": 1}},
            "test": {"rows": 2, "labels": {"neg": 1, "pos": 1}},
        },
        "omittedLabels": {},
        "labelsOverLimit": 0,
        "sources": {"raw/a.csv": 4, "raw/b.csv": 1},
        "trainTextsAlsoInTest": 0,
        "trainTextsAlsoInValidation": 0,
        "ingested": {"records": 0, "skippedRows": 0, "quarantinedRows": 0, "quarantinedFiles": {}}
        | NO_LABELS,
        "invalidRecords": {},
    }


def test_report_contains_the_jobs_query(job: Job) -> None:
    inputs = [
        {"InputName": "ingest", "S3Input": {"S3Uri": "s3://data/ingest"}},
        {
            "InputName": "records",
            "DatasetDefinition": {"AthenaDatasetDefinition": {"QueryString": "SELECT 1", "Database": "d"}},
        },
    ]
    (job.base / "config").mkdir()
    config = job.base / "config/processingjobconfig.json"
    config.write_text(json.dumps({"ProcessingJobArn": "arn", "ProcessingInputs": inputs}))
    job.put(GOOD)
    job.run()
    assert job.report()["query"] == "SELECT 1"


def test_files_that_are_no_parquet_are_passed_over(job: Job) -> None:
    job.put(GOOD[:2])
    job.put(GOOD[2:], "part-1")
    (job.records / "part-manifest.csv").write_text("s3://data/part-0\n")
    job.run()
    assert job.report()["rows"] == 5


def test_split_is_declared_else_in_the_id_else_by_hash(job: Job) -> None:
    rows = [
        record("test/a", split="train"),
        record("test/b"),
        record("train/c", "neg", ""),
        record("validation/d"),
        record("detest/e"),
    ]
    job.put(rows)
    job.run()
    assert job.splits() == {
        "test/a": "train",
        "test/b": "test",
        "train/c": "train",
        "validation/d": "validation",
        "detest/e": "train",
    }


def test_hash_takes_a_tenth_for_testing_and_a_tenth_of_the_rest_for_validation(job: Job) -> None:
    job.put([record(f"review-{i}", "pos" if i % 2 else "neg") for i in range(4000)])
    job.run()
    splits = list(job.splits().values())
    assert splits.count("test") == pytest.approx(400, abs=60)
    assert splits.count("validation") == pytest.approx(360, abs=60)


def test_hash_is_the_same_in_every_version(job: Job) -> None:
    """A record that wandered into test after an upgrade was trained on before."""
    job.put([record(f"review-{i}", "pos" if i % 2 else "neg") for i in range(60)])
    job.run()
    assert [row["id"] for row in job.rows("test")] == [f"review-{i}" for i in (21, 3, 37, 4, 55)]
    assert [row["id"] for row in job.rows("validation")] == [f"review-{i}" for i in (0, 25, 26, 32)]


def test_declared_validation_keeps_all_of_train(job: Job) -> None:
    rows = [record(f"review-{i}", "pos" if i % 2 else "neg", "train") for i in range(300)]
    job.put([*rows, *GOOD])
    job.run()
    assert job.report()["splits"]["train"]["rows"] == 302
    job.put([*rows, *GOOD[:2], *GOOD[3:]])
    job.run()
    assert job.report()["splits"]["train"]["rows"] < 290


def test_text_stays_in_the_first_of_test_validation_and_train(job: Job) -> None:
    rows = [
        *GOOD,
        record("6", text="text of 4"),
        record("7", "neg", split="validation", text="text of 5"),
        record("8", "neg", text="text of 3"),
        record("9", "neg", split="test", text="text of 5"),
    ]
    job.put(rows)
    job.run()
    assert job.splits() == {
        "1": "train",
        "2": "train",
        "3": "validation",
        "4": "test",
        "5": "test",
        "9": "test",
    }
    assert (job.report()["trainTextsAlsoInTest"], job.report()["trainTextsAlsoInValidation"]) == (2, 1)


def test_texts_and_labels_of_any_script_are_kept(job: Job) -> None:
    text = 'He said "no",\r\nthen\u2028left\x85\x0b\x01\\ 悪い 🎬'
    rows = [
        *GOOD,
        record('"x" 悪い', "☃", text=text),
        record("ñ", "☃", "test", text=text + ".", source="raw/é.csv"),
    ]
    job.put(rows)
    job.run()
    assert job.rows("train")[0] == {"id": '"x" 悪い', "text": text, "label": "☃"}
    assert job.rows("test")[-1] == {"id": "ñ", "text": text + "."}
    assert job.rows("labels")[-1] == {"id": "ñ", "label": "☃", "source": "raw/é.csv"}
    assert job.report()["splits"]["test"]["labels"]["☃"] == 1


def test_hash_and_bytes_stay_what_they_are(job: Job) -> None:
    """An unchanged dataset that hashes otherwise would be a new one to whoever compares two runs."""
    job.put([*GOOD, record("6", "\u2603", text="\r\n\x0b\x01\\ \u60aa \U0001f3ac", source=None)])
    job.run()
    assert job.content("train").splitlines()[-1] == (
        '{"id":"6","text":"\\r\\n\\u000B\\u0001\\\\ \u60aa \U0001f3ac","label":"\u2603"}'.encode()
    )
    assert job.report()["sha256"] == "24fd8b7a12d967325c119d312855530e9bc0567df1995ca92b004ad86265d441"


def test_every_row_group_is_read_once(job: Job) -> None:
    rows = [record(f"train/{i:04}", "pos" if i % 2 else "neg") for i in range(2 * ROW_GROUP + 1)]
    job.put([*rows, *GOOD])
    job.run()
    assert [row["id"] for row in job.rows("train")] == ["1", "2", *(row["record_id"] for row in rows)]


def test_sorts_on_the_disk_of_its_folder(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job.put([record(f"train/{'long' * 60}{i}") for i in range(6000)])
    monkeypatch.setattr(records, "CACHE_KIB", 100)
    folder = tmp_path / "the job's"
    folder.mkdir()
    with records.open_records([job.records / "part-0"], folder) as found:
        rows = found.database.execute("SELECT record_id FROM records ORDER BY record_id")
        rows.fetchone()
        opened = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        rows.close()
    sorted_in = [file for file in opened if "etilqs" in file]  # SQLite's name for what it puts aside
    assert sorted_in
    assert all(file.startswith(str(folder)) for file in sorted_in)


SOME = st.lists(
    st.builds(
        record,
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8).map(
            "any {}".format
        ),
        st.sampled_from(["pos", "neg"]),
        st.sampled_from([None, None, "train", "test"]),
        text=st.text("ab", min_size=1, max_size=3),
    ),
    max_size=60,
    unique_by=lambda row: row["record_id"],
)
PROPERTY = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ANCHORS = [*GOOD[:2], GOOD[3]]


@PROPERTY
@given(rows=SOME, added=SOME)
def test_no_record_moves_when_others_come(rows: list[Record], added: list[Record]) -> None:
    def splits(rows: list[Record]) -> dict[str, str]:
        with TemporaryDirectory() as base:
            job = Job(Path(base))
            job.put([row | {"text": row["record_id"]} for row in rows])
            job.run()
            return job.splits()

    known = {row["record_id"] for row in rows}
    before = splits([*ANCHORS, *rows])
    after = splits([*ANCHORS, *rows, *(row for row in added if row["record_id"] not in known)])
    assert before.keys() == {row["record_id"] for row in [*ANCHORS, *rows]}
    assert before.items() <= after.items()


@PROPERTY
@given(rows=SOME)
def test_no_text_stands_in_two_splits_and_none_is_lost(rows: list[Record]) -> None:
    with TemporaryDirectory() as base:
        job = Job(Path(base))
        job.put([*ANCHORS, *rows])
        job.run()
        texts = {name: {row["text"] for row in job.rows(name)} for name in NAMES[:3]}
        report = job.report()
    assert not texts["test"] & (texts["validation"] | texts["train"])
    assert not texts["validation"] & texts["train"]
    assert set().union(*texts.values()) == {row["text"] for row in [*ANCHORS, *rows]}
    dropped = report["trainTextsAlsoInTest"] + report["trainTextsAlsoInValidation"]
    assert report["rows"] + dropped == len(ANCHORS) + len(rows)


@PROPERTY
@given(rows=SOME, data=st.data())
def test_same_records_give_the_same_bytes_in_whatever_order_and_files(
    rows: list[Record], data: st.DataObject
) -> None:
    def written(parts: list[list[Record]]) -> tuple[list[bytes], Any]:
        with TemporaryDirectory() as base:
            job = Job(Path(base))
            for number, part in enumerate(parts):
                job.put(part, f"part-{number}")
            job.run()
            return [job.content(name) for name in NAMES], job.report()

    rows = [*ANCHORS, *rows]
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    assert written([shuffled[:cut], shuffled[cut:]]) == written([rows])


@pytest.mark.parametrize(
    "changed", [{"text": "new"}, {"label": "neg"}, {"split": "validation"}, {"record_id": "1a"}]
)
def test_hash_changes_with_every_change(job: Job, changed: Record) -> None:
    job.put([*GOOD, record("6"), record("7", "neg")])
    job.run()
    before = job.report()["sha256"]
    job.put([GOOD[0] | changed, *GOOD[1:], record("6"), record("7", "neg")])
    job.run()
    assert job.report()["sha256"] != before


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            GOOD[2:],
            "no row is left to train with, for example not record '3' of raw/a.csv: all rows are for",
        ),
        (
            GOOD[:3],
            "no row is left to test with, since each label has one row only, such as record '1' of raw/a.csv",
        ),
        (
            [GOOD[0], GOOD[2], GOOD[3]],
            "every row has the label 'pos', such as record '1' of raw/a.csv; add rows of another",
        ),
        (
            [GOOD[0], *GOOD[2:]],
            "every row has the label 'pos', such as record '1' of raw/a.csv; add rows of another; left out "
            "for too few rows to train with: 'neg' (1 rows, such as record '5' of raw/b.csv)",
        ),
        (
            [*GOOD, GOOD[0]],
            "records in more than one version; the query must select the latest: 1, such as record '1'",
        ),
        (
            [*GOOD, record("6", event_time="2026-11-23T04:00:00.001Z")],
            f"records after {AS_OF}",
        ),
        (
            [record("6", split="dev"), record("7", text=None)],
            "all records are without an id, a time, a text or a label: 1, such as record '7' of raw/a.csv; "
            "all records are of an unknown split",
        ),
        ([], "there are no records as of the run's asOf; ingest some"),
    ],
)
def test_refuses_records_that_make_no_dataset(job: Job, rows: list[Record], reason: str) -> None:
    assert job.reason(rows).startswith(reason)


def test_label_without_a_row_in_train_is_left_out_and_named(job: Job) -> None:
    job.put([*GOOD, record("6", "meh", "test"), record("7", "meh", "validation")])
    job.run()
    report = job.report()
    assert (report["omittedLabels"], report["rows"]) == ({"meh": 2}, 5)
    assert "meh" not in {row["label"] for name in ("train", "validation", "labels") for row in job.rows(name)}


def test_label_below_the_contracts_least_count_is_left_out(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = dataclasses.replace(contract.load(), min_label_rows=2)
    monkeypatch.setattr(contract, "load", lambda: rules)
    more = [record(f"train/{i}", label) for i, label in enumerate(("pos", "neg", "rare"))]
    job.put([*GOOD, *more, record("test/9", "rare")])
    job.run()
    assert job.report()["omittedLabels"] == {"rare": 2}
    assert job.report()["splits"]["train"]["labels"] == {"neg": 2, "pos": 2}


def test_labels_over_the_contracts_limit_are_left_out_and_named(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = dataclasses.replace(contract.load(), max_labels=2)
    monkeypatch.setattr(contract, "load", lambda: rules)
    more = [record(f"train/{i}", label) for i, label in enumerate(("pos", "neg", "meh"))]
    job.put([*GOOD, *more, *(record(f"test/{i}", "meh") for i in range(9))])
    job.run()
    report = job.report()
    assert (report["omittedLabels"], report["labelsOverLimit"], report["rows"]) == ({"meh": 10}, 1, 7)
    assert (
        "left out: the label 'meh' (10 rows, such as record 'test/0' of raw/a.csv): more than 2 labels (max_"
        in capsys.readouterr().out
    )


def test_labels_of_a_wrong_column_do_not_fail_every_later_run(job: Job) -> None:
    more = [record("train/pos"), record("train/neg", "neg")]
    job.put([*GOOD, *more, *(record(f"train/{i}", f"label {i}") for i in range(800))])
    job.run()
    report = job.report()
    assert (report["labelsOverLimit"], len(report["omittedLabels"])) == (702, 702)
    assert {"pos", "neg"} <= report["splits"]["train"]["labels"].keys()
    assert len(report["splits"]["train"]["labels"]) == 100


@pytest.mark.parametrize(
    ("invalid", "fault"),
    [
        (record("6", split="dev"), "of an unknown split, which is none of test, validation, train"),
        (record("6", text=None), "without an id, a time, a text or a label"),
        (record("6", label=None), "without an id, a time, a text or a label"),  # type: ignore[arg-type]
    ],
)
def test_records_that_ingest_never_writes_are_left_out_and_named(
    job: Job, capsys: pytest.CaptureFixture[str], invalid: Record, fault: str
) -> None:
    job.put([*GOOD, invalid])
    job.run()
    assert job.report()["invalidRecords"] == {fault: "1, such as record '6' of raw/a.csv"}
    assert job.report()["rows"] == 5
    assert f"left out: records {fault}: 1, such as record '6'" in capsys.readouterr().out


def train_only(count: int, prefix: str = "train/") -> list[Record]:
    return [record(f"{prefix}{i}", "pos" if i % 2 else "neg", "train") for i in range(count)]


def test_files_for_training_only_give_test_rows_by_the_hash(job: Job) -> None:
    job.put(train_only(300))
    job.run()
    before = [row["id"] for row in job.rows("test")]
    assert len(before) == pytest.approx(30, abs=12)
    job.put([*train_only(300), *train_only(100, "more/")])
    job.run()
    assert [row["id"] for row in job.rows("test") if str(row["id"]).startswith("train/")] == before
    job.put([*train_only(300), record("t", split="test"), record("u", "neg", "test")])
    job.run()
    assert [row["id"] for row in job.rows("test")] == ["t", "u"]
    assert set(before) <= {row["id"] for name in ("train", "validation") for row in job.rows(name)}


def test_a_handful_of_rows_has_one_to_test_with(job: Job) -> None:
    job.put(train_only(6, "b"))  # the hash chooses none of them
    job.run()
    assert len(job.rows("test")) == 1
    assert job.report()["rows"] == 6


def test_test_rows_of_other_labels_than_the_training_rows_do_not_fail_every_run(job: Job) -> None:
    job.put([*train_only(100), record("t", "0", "test"), record("u", "1", "test")])
    job.run()
    report = job.report()
    assert report["omittedLabels"] == {"0": 1, "1": 1}
    assert report["splits"]["test"]["labels"].keys() == {"neg", "pos"}


@pytest.mark.parametrize("as_of", ["", "yesterday", "2026-11-23T04:00:00Z"])
def test_time_has_the_records_own_form(job: Job, as_of: str) -> None:
    """Times are compared as text, and a 'Z' sorts after a '.'."""
    assert job.reason(GOOD, as_of).startswith(f"AS_OF is '{as_of}'; set a time such as 2026-01-31T")


def test_missing_column_is_named(job: Job) -> None:
    job.put(GOOD, columns=COLUMNS[:4])
    with pytest.raises(DatasetError, match="the records have no column split, source; select"):
        job.run()


def test_no_file_at_all_is_no_record(job: Job) -> None:
    with pytest.raises(DatasetError, match="there are no records as of"):
        job.run()


def reported(key: str, reason: str | None) -> Reported:
    rows = {"ingested": 0, "quarantined": 3} if reason else {"ingested": 5, "quarantined": 1}
    return {"key": key, "verdict": "QUARANTINED" if reason else "INGESTED", "reason": reason, **rows}


def test_no_good_file_of_any_instance_is_refused_with_each_ones_reason(job: Job) -> None:
    job.put(GOOD)  # of earlier runs
    job.put_ingested("algo-2", reported("raw/a.csv", "empty file"))
    job.put_ingested("algo-1", reported("raw/b.csv", "not CSV"), reported("raw/c.csv", "compressed twice"))
    with pytest.raises(RejectedFilesError) as caught:
        job.run()
    assert caught.value.rejected == [
        ("raw/a.csv", "empty file"),
        ("raw/b.csv", "not CSV"),
        ("raw/c.csv", "compressed twice"),
    ]
    job.put_ingested("algo-3", reported("raw/d.csv", None))
    job.run()
    assert job.report()["rows"] == 5
    assert job.report()["ingested"] == {
        "records": 5,
        "skippedRows": 0,
        "quarantinedRows": 10,
        "quarantinedFiles": dict(caught.value.rejected),
        **NO_LABELS,
    }


def test_a_run_that_forgot_makes_a_dataset_without_a_good_file(job: Job) -> None:
    job.put(GOOD)
    job.put_ingested("algo-1", reported("raw/a.csv", "empty file"), deletions={"forgets": False})
    with pytest.raises(RejectedFilesError):
        job.run()
    job.put_ingested("algo-1", reported("raw/a.csv", "empty file"), deletions={"forgets": True})
    job.run()
    assert job.report()["rows"] == 5


def test_a_run_without_new_files_makes_a_dataset(job: Job) -> None:
    job.put(GOOD)
    job.put_ingested("algo-1")
    job.run()
    assert job.report()["rows"] == 5


def execute(base: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "create_dataset")]
    environment = os.environ | {"SAGEMAKER_BASE_DIR": str(base), "AS_OF": AS_OF}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_executable_writes_the_dataset_and_one_line(job: Job) -> None:
    job.put(GOOD)
    done = execute(job.base)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 rows: 2 to train, 1 to validation, 2 to test; 0 duplicates dropped")
    assert done.stdout.count("\n") == 1
    assert sorted(path.name for path in (job.base / "processing").iterdir()) == ["input", "output"]
    assert not (job.base / "output/message").exists()


def test_executable_leaves_the_exit_message(job: Job) -> None:
    job.put(GOOD[:3])
    done = execute(job.base)
    assert done.returncode == 1
    message = json.loads((job.base / "output/message").read_text())
    assert message == {
        "error": "no row is left to test with, since each label has one row only, such as record '1' of "
        "raw/a.csv; add rows of split test"
    }
