import contextlib
import csv
import dataclasses
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import zstandard
from moto import mock_aws

from processing.errors import PlanError, RecordError, RejectedFilesError, SettingsError, VisibilityError
from processing.ingestion import checked_rows, contract, feature_store
from processing.ingestion.formats import parquet
from processing.ingestion.formats import raw_file as formats
from processing.ingestion.rows import Record as RecordOfFile
from tests.unit.containers.processing.ingest_job import (
    FOLDER,
    GOOD,
    ROW_GROUP,
    Athena,
    FeatureStore,
    Job,
    Record,
    record,
    to_csv,
    to_json_lines,
    to_parquet,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "ml")


def identifiers(rows: list[Record]) -> list[str]:
    return [row["record_id"] for row in rows]


@pytest.mark.parametrize("encode", [to_csv, to_json_lines, to_parquet])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_reads_each_format_whatever_its_name(
    job: Job, tmp_path: Path, encode: Callable[..., bytes], compress: Callable[[bytes], bytes]
) -> None:
    content = encode(GOOD, tmp_path) if encode is to_parquet else encode(GOOD)
    job.put("raw/deep/er/reviews.data", compress(content))
    job.run()
    [entry] = job.report()["files"]
    lines = {"read": 4, "rows": 4, "skipped": 0, "quarantined": 0, "other": 0}
    lines_of = {to_csv: lines | {"read": 5, "other": 1}, to_json_lines: lines, to_parquet: None}
    assert entry == {
        "key": "raw/deep/er/reviews.data",
        "etag": "etag-raw/deep/er/reviews.data",
        "eventTime": "2026-11-23T03:07:15.000Z",
        "rows": 4,
        "ingested": 4,
        "skipped": 0,
        "quarantined": 0,
        "verdict": "INGESTED",
        "reason": None,
        "lines": lines_of[encode],
        "labels": {"neg": 2, "pos": 2},
        "newLabels": {"neg": 2, "pos": 2},
        "heldLabels": [],
        "skips": {},
        "notes": [],
    }
    assert job.store.records()[0] == {
        "record_id": "test/3",
        "event_time": "2026-11-23T03:07:15.000Z",
        "text": "text of test/3",
        "label": "pos",
        "source": "raw/deep/er/reviews.data",
    }
    assert not (job.base / "processing/output/quarantine").exists()


@pytest.mark.parametrize("function", ["read_rows", "check"])
def test_a_fault_of_the_code_costs_the_file_that_shows_it(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], function: str
) -> None:
    works = getattr(checked_rows, function)

    def fail(item: Path | RecordOfFile, *more: Any) -> Any:
        if "wrong" in str(item):
            raise KeyError("label \ud800")
        return works(item, *more)

    monkeypatch.setattr(checked_rows, function, fail)
    job.put("raw/wrong.csv", to_csv([record("1", text="wrong")]))
    job.put("raw/b.csv", to_csv(GOOD))
    job.run()
    assert job.account("raw/wrong.csv")["verdict"] == "QUARANTINED"
    assert "an unexpected error, KeyError: " in job.account("raw/wrong.csv")["reason"]
    assert job.account("raw/b.csv")["ingested"] == 4
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_a_fault_of_the_machine_fails_the_job(
    job: Job, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*values: Any) -> Any:
        raise error

    monkeypatch.setattr(formats, "read_text", fail)
    job.put("raw/a.csv", to_csv(GOOD))
    with pytest.raises(type(error)):
        job.run()


def test_reads_frames_after_one_another(job: Job) -> None:
    content = to_csv(GOOD)
    job.put("raw/a.zst", zstandard.compress(content[:40]) + zstandard.compress(content[40:]))
    job.run()
    assert job.account("raw/a.zst")["ingested"] == 4


def test_reads_more_than_one_block(job: Job) -> None:
    rows = [record(f"{i:04}", text=os.urandom(400).hex()) for i in range(1000)]
    job.put("raw/a.zst", zstandard.compress(to_csv(rows)))
    job.run()
    assert [row["text"] for row in job.store.records()] == [row["text"] for row in rows]


def test_keeps_quotes_and_other_scripts_and_makes_line_ends_spaces(job: Job) -> None:
    text = 'He said "no",\r\nthen\nleft.\u2028悪い 🎬\x0b'
    job.put("raw/a.csv", b"\xef\xbb\xbf" + to_csv([record("1", text=text)]))
    job.put("raw/b.jsonl", b"\xef\xbb\xbf" + to_json_lines([record("1", text=text)]))
    job.run()
    assert [row["text"] for row in job.store.records()] == ['He said "no", then left. 悪い 🎬\x0b'] * 2


def test_blank_lines_and_other_columns_are_passed_over(job: Job) -> None:
    content = to_csv([row | {"stars": 3} for row in GOOD])
    job.put("raw/a.csv", b"\n" + content.replace(b"\r\n", b"\n \n\n"))
    job.run()
    assert job.account("raw/a.csv")["rows"] == 4


def test_numbers_may_be_ids_and_labels(job: Job, tmp_path: Path) -> None:
    rows = [{"id": i, "text": f"text {i}", "label": i % 2} for i in range(3)]
    job.put("raw/a.jsonl", to_json_lines(rows))
    job.put("raw/b.parquet", to_parquet(rows, tmp_path))
    job.run()
    for key in ("raw/a.jsonl", "raw/b.parquet"):
        assert [(row["record_id"], row["label"]) for row in job.stored(key)] == [
            ("0", "0"),
            ("1", "1"),
            ("2", "0"),
        ]


def test_split_is_kept_where_there_is_one(job: Job) -> None:
    job.put("raw/a.csv", to_csv([record("1", split=" Validation "), record("2", split="")]))
    job.run()
    first, second = job.store.records()
    assert first["split"] == "validation"
    assert "split" not in second


def test_missing_id_is_the_hash_of_the_text(job: Job) -> None:
    job.put("raw/a.csv", b"text,label\ngood film,pos\nbad film,neg\n")
    job.put("raw/b.jsonl", to_json_lines([{"id": None, "text": "good film", "label": "pos"}]))
    job.run()
    assert identifiers(job.stored("raw/b.jsonl")) == [DIGEST]
    assert DIGEST in identifiers(job.stored("raw/a.csv"))


DIGEST = hashlib.sha256(b"good film").hexdigest()[:32]


def test_a_bad_row_goes_to_quarantine_and_the_others_are_ingested(job: Job) -> None:
    rows = [record(f"{i:02}") for i in range(20)]
    job.put("raw/a.csv", to_csv([*rows[:10], record("10", text=" "), *rows[11:]]))
    job.run()
    assert job.account("raw/a.csv") | {"etag": "", "eventTime": ""} == {
        "key": "raw/a.csv",
        "etag": "",
        "eventTime": "",
        "rows": 20,
        "ingested": 19,
        "skipped": 0,
        "quarantined": 1,
        "verdict": "INGESTED",
        "reason": None,
        "lines": {"read": 21, "rows": 19, "skipped": 0, "quarantined": 1, "other": 1},
        "labels": {"pos": 19},
        "newLabels": {"pos": 19},
        "heldLabels": [],
        "skips": {},
        "notes": [],
    }
    assert job.quarantined("raw/a.csv") == [
        {"file": "raw/a.csv", "row": 11, "line": 12, "field": "text", "reason": "empty text", "value": " "}
    ]
    assert len(job.store.records()) == 19


def test_says_where_the_bad_rows_are(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*[record(str(i)) for i in range(20)], record("x", text="")]
    job.put("raw/a.csv", to_csv(rows))
    job.run()
    assert (
        capsys.readouterr().out.count(f"bad rows: {job.base}/processing/output/quarantine/algo-1.jsonl") == 1
    )
    outputs = [
        {"OutputName": "report", "S3Output": {"S3Uri": "s3://data/runs/1/ingest"}},
        {"OutputName": "quarantine", "S3Output": {"S3Uri": "s3://data/quarantine/1/"}},
    ]
    job.configure("processingjobconfig", {"ProcessingOutputConfig": {"Outputs": outputs}})
    job.run()
    assert "bad rows: s3://data/quarantine/1/algo-1.jsonl\n" in capsys.readouterr().out


def test_second_row_of_an_id_is_quarantined(job: Job) -> None:
    rows = [record(f"{i:02}") for i in range(20)]
    job.put("raw/a.csv", to_csv([*rows, record("03", text="again")]))
    job.run()
    [line] = job.quarantined("raw/a.csv")
    assert (line["row"], line["field"], line["reason"], line["value"]) == (21, "id", "duplicate id", "03")
    assert "again" not in {row["text"] for row in job.store.records()}


def test_same_id_in_two_files_is_two_versions(job: Job) -> None:
    job.put("raw/a.csv", to_csv(GOOD))
    job.put("raw/b.csv", to_csv([record("train/1", text="corrected")]))
    job.run()
    assert [row["text"] for row in job.store.records() if row["record_id"] == "train/1"] == [
        "text of train/1",
        "corrected",
    ]


@pytest.mark.parametrize(("bad", "verdict"), [(2, "INGESTED"), (3, "QUARANTINED")])
def test_a_file_with_too_large_a_share_of_bad_rows_is_quarantined_whole(
    job: Job, bad: int, verdict: str
) -> None:
    rows = [record(f"{i:02}", text="" if i < bad else "good") for i in range(20)]
    job.put("raw/a.csv", to_csv(rows))
    job.put("raw/good.csv", to_csv(GOOD))
    job.run()
    account = job.account("raw/a.csv")
    assert account["verdict"] == verdict
    if verdict == "QUARANTINED":
        assert account["reason"] == "3 of 20 rows are bad, more than 10%; the first: line 2: empty text"
        assert (account["ingested"], account["quarantined"]) == (0, 20)
        assert not job.stored("raw/a.csv")
        assert [line["row"] for line in job.quarantined("raw/a.csv")] == [1, 2, 3, None]
    assert len(job.stored("raw/good.csv")) == 4


def test_a_file_without_a_good_row_is_quarantined_whatever_the_contract_allows(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = dataclasses.replace(contract.load(), max_bad_share=1.0)
    monkeypatch.setattr(contract, "load", lambda: rules)
    job.put("raw/a.csv", to_csv([record("1", text=""), record("2", text="")]))
    job.put("raw/half.csv", to_csv([record("1", text=""), record("2")]))
    job.run()
    assert job.account("raw/a.csv")["reason"] == "2 of 2 rows are bad; the first: line 2: empty text"
    assert job.account("raw/half.csv")["verdict"] == "INGESTED"


def test_all_files_bad_fails_and_names_them(job: Job) -> None:
    job.put("raw/a.csv", b"")
    job.put("raw/c/d.csv", b"\xff")
    with pytest.raises(RejectedFilesError) as caught:
        job.run()
    assert caught.value.rejected == [
        ("raw/a.csv", "empty file"),
        ("raw/c/d.csv", "not UTF-8 text: byte 0xff in the header"),
    ]
    assert [file["verdict"] for file in job.report()["files"]] == ["QUARANTINED"] * 2
    assert not job.store.writes


def test_a_bad_shard_does_not_fail_where_other_instances_have_files(job: Job) -> None:
    job.put("raw/a.csv", b"")
    job.plan("raw/elsewhere.csv")
    job.run()
    assert job.account("raw/a.csv")["verdict"] == "QUARANTINED"


def test_no_new_file_is_an_empty_report(job: Job) -> None:
    job.run()
    content = job.report()
    assert content.pop("seconds") >= 0
    assert content == {"files": [], "records": 0, "calls": 0, "retries": 0}
    assert not job.athena.queries


def test_the_plan_among_the_objects_is_passed_over(job: Job) -> None:
    job.put("plans/abc/plan.json", b"{}", planned=False)
    job.put("raw/a.csv", to_csv(GOOD))
    job.run()
    assert [file["key"] for file in job.report()["files"]] == ["raw/a.csv"]


def test_file_that_the_plan_does_not_list(job: Job) -> None:
    job.put("raw/a.csv", to_csv(GOOD), planned=False)
    with pytest.raises(PlanError, match=r"the plan does not list raw/a\.csv; start"):
        job.run()
    assert job.report()["files"] == []


def test_plan_with_a_time_that_is_none(job: Job) -> None:
    job.put("raw/a.csv", to_csv(GOOD))
    job.objects[0]["eventTime"] = "yesterday"
    with pytest.raises(PlanError, match=r"the eventTime of raw/a\.csv is 'yesterday'"):
        job.run()


def test_missing_and_wrong_settings_are_named(job: Job) -> None:
    with pytest.raises(SettingsError, match="not set: FEATURE_GROUP_NAME"):
        job.run(FEATURE_GROUP_NAME="")
    with pytest.raises(SettingsError, match="TIMEOUT_MINUTES is 'soon'; a number"):
        job.run(OFFLINE_STORE_TIMEOUT_MINUTES="soon")


def test_names_are_no_patterns(job: Job, tmp_path: Path) -> None:
    for name in ("raw/*.parquet", "raw/[a].parquet", "raw/label=neg/b.parquet"):
        job.put(name, to_parquet([record(name)], tmp_path))
    job.run()
    assert [row["record_id"] for row in job.store.records()] == sorted(
        ["raw/*.parquet", "raw/[a].parquet", "raw/label=neg/b.parquet"]
    )
    assert {row["label"] for row in job.store.records()} == {"pos"}


@pytest.mark.parametrize("columns", ["*", "*, 7 AS file_row_number"])
def test_row_groups_are_read_in_their_order(tmp_path: Path, columns: str) -> None:
    rows = [record(str(i)) for i in range(2 * ROW_GROUP + 1)]
    to_parquet(rows, tmp_path, columns)
    items = parquet.read_parquet(tmp_path / "rows.parquet", contract.load())
    found = [dict(item.values) for item in items if isinstance(item, RecordOfFile)]
    assert found == rows


@pytest.mark.parametrize(
    "name", ["file_row_number", "File_Row_Number", "filename", "file_index", "rowid", 'it\'s "odd"', "$1"]
)
def test_other_columns_may_have_any_name(job: Job, tmp_path: Path, name: str) -> None:
    def rows(kind: str) -> list[Record]:
        return [row | {"id": f"{kind}/{row['id']}", name: "any"} for row in GOOD]

    job.put("raw/a.csv", to_csv(rows("csv")))
    job.put("raw/a.jsonl", to_json_lines(rows("jsonl")))
    job.put("raw/a.parquet", to_parquet(rows("parquet"), tmp_path, "*"))
    job.run()
    assert [account["ingested"] for account in job.report()["files"]] == [len(GOOD)] * 3


def test_report_is_named_after_the_host(job: Job) -> None:
    job.configure("resourceconfig", {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]})
    job.put("raw/a.csv", to_csv([*[record(str(i)) for i in range(20)], record("x", text="")]))
    job.run()
    assert (job.base / "processing/output/report/algo-2.json").exists()
    assert (job.base / "processing/output/quarantine/algo-2.jsonl").exists()


def test_csv_field_limit_of_others_does_not_matter(job: Job) -> None:
    csv.field_size_limit(10)
    job.put("raw/a.csv", to_csv(GOOD))
    job.run()
    assert job.account("raw/a.csv")["ingested"] == 4


def test_key_of_a_line_break_is_no_feature(job: Job) -> None:
    job.put("raw/a\nb.csv", to_csv(GOOD))
    job.put("raw/good.csv", to_csv(GOOD))
    job.run()
    assert (
        job.account("raw/a\nb.csv")["reason"] == "a line break in the object's key; upload it under another"
    )


def test_folders_among_the_objects_are_no_files(job: Job) -> None:
    job.put("raw/a.csv", b"")
    job.plan("raw/folder/", 0)
    with pytest.raises(RejectedFilesError):
        job.run()


def test_ingesting_again_changes_nothing(job: Job) -> None:
    job.put("raw/a.csv", to_csv(GOOD))
    job.run()
    once = job.store.records()
    job.run()
    assert job.store.records() == once
    assert len(job.store.writes) == 2 * len(once)


def test_what_is_written_before_a_failure_stands_in_the_report(job: Job) -> None:
    job.put("raw/a.csv", to_csv(GOOD))
    job.put("raw/b.csv", to_csv(GOOD))
    job.store.answers = [0, "AccessForbidden"]
    with pytest.raises(RecordError):
        job.run()
    content = job.report()
    assert [file["key"] for file in content["files"]] == ["raw/a.csv"]
    assert (content["records"], content["calls"]) == (4, 1)


def test_a_record_that_the_feature_store_refuses_is_quarantined_alone(job: Job, tmp_path: Path) -> None:
    text = b'id,text,label\n1,"two\nlines",rare\n2,b,pos\n3,c,pos\n'
    job.put("raw/a.csv", text)
    job.put("raw/b.parquet", to_parquet(GOOD, tmp_path))
    job.store.answers = ["ValidationError", "ValidationError"]
    job.run()
    account = job.account("raw/a.csv")
    assert (account["rows"], account["ingested"], account["quarantined"]) == (3, 2, 1)
    assert account["lines"] == {"read": 5, "rows": 2, "skipped": 0, "quarantined": 2, "other": 1}
    assert account["labels"] == {"pos": 2}
    assert account["notes"] == ["1 rows refused by the feature store, first ValidationError: because"]
    assert job.quarantined("raw/a.csv") == [
        {
            "file": "raw/a.csv",
            "row": 1,
            "line": 2,
            "lastLine": 3,
            "field": None,
            "reason": "the feature store refuses it: ValidationError: because",
            "value": "1",
        }
    ]
    [line] = job.quarantined("raw/b.parquet")
    assert (line["row"], line["line"], line["value"]) == (1, None, "train/1")
    assert job.account("raw/b.parquet")["ingested"] == 3
    assert len(job.store.records()) == job.report()["records"] == 5


def test_a_file_whose_good_rows_are_all_refused_is_quarantined_whole(job: Job) -> None:
    job.put("raw/a.csv", to_csv([record("1")]))
    job.put("raw/b.csv", to_csv(GOOD))
    job.store.answers = ["ValidationError"]
    job.run()
    account = job.account("raw/a.csv")
    assert account["verdict"] == "QUARANTINED"
    assert account["reason"] == ("the feature store refuses all good rows, first ValidationError: because")
    assert [line["row"] for line in job.quarantined("raw/a.csv")] == [1, None]
    assert job.account("raw/b.csv")["ingested"] == 4


@pytest.mark.parametrize(("refused", "ids"), [(0, ["1", "2"]), (1, ["1", "2"]), (2, ["2"])])
def test_rows_of_one_id_are_one_record(
    job: Job, monkeypatch: pytest.MonkeyPatch, refused: int, ids: list[str]
) -> None:
    rules = dataclasses.replace(contract.load(), unique=False)
    monkeypatch.setattr(contract, "load", lambda: rules)
    monkeypatch.setattr(feature_store, "BATCH_RECORDS", 1)
    monkeypatch.setattr(feature_store, "THREADS", 1)
    job.store.answers = ["ValidationError"] * refused
    job.put("raw/a.csv", to_csv([record("1"), record("1"), record("2", "neg")]))
    job.run(OFFLINE_STORE_TIMEOUT_MINUTES="0.001")
    assert job.account("raw/a.csv")["ingested"] == 3 - refused
    assert identifiers(job.store.records()) == ids


def refuse(job: Job, *, after: int) -> None:
    """The feature store refuses each record after so many calls."""
    write = job.store.batch_write_record

    def refused(*, Entries: list[Record]) -> Record:
        if len(job.store.batches) < after:
            return write(Entries=Entries)
        job.store.batches.append(len(Entries))
        errors = [{"Entry": entry, "ErrorCode": "ValidationError", "ErrorMessage": "no"} for entry in Entries]
        return {"UnprocessedEntries": [], "Errors": errors}

    job.store.batch_write_record = refused  # type: ignore[method-assign]


@pytest.mark.parametrize(("files", "after"), [(1, 0), (5, 0), (12, 0), (40, 1)])
def test_a_feature_group_at_fault_quarantines_no_file(job: Job, files: int, after: int) -> None:
    refuse(job, after=after)
    for number in range(files):
        job.put(f"raw/{number:02}.csv", to_csv([record(f"{number}-{row}") for row in range(25)]))
    with pytest.raises(RecordError, match="the feature group retrain-records refuses") as caught:
        job.run()
    assert [file["verdict"] for file in job.report()["files"]] == ["INGESTED"] * after
    if files < 12:
        assert "refuses all records of this job: ValidationError: no. Compare" in str(caught.value)
        assert str(caught.value).endswith("raw/00.csv" if files == 1 else "raw/02.csv and 2 more")


def test_files_without_a_good_row_are_reported_although_the_feature_group_is_at_fault(job: Job) -> None:
    refuse(job, after=0)
    job.put("raw/a.csv", b"")
    job.put("raw/b.csv", to_csv(GOOD))
    with pytest.raises(RecordError, match="refuses all records of this job"):
        job.run()
    assert [file["key"] for file in job.report()["files"]] == ["raw/a.csv"]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Client"]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="data")
        yield client


def upload(job: Job, s3: "S3Client", key: str, content: bytes) -> None:
    """An object in the bucket, and its entry in the plan."""
    etag = s3.put_object(Bucket="data", Key=key, Body=content)["ETag"].strip('"')
    job.plan(key, len(content))
    job.objects[-1]["etag"] = etag


def test_objects_of_the_bucket_are_read_by_the_job_itself(job: Job, s3: "S3Client") -> None:
    for key in ("raw/a", "raw/a/b.csv", "raw/gone.csv", "raw/replaced.csv"):
        upload(job, s3, key, to_csv([record(key)]))
    s3.delete_object(Bucket="data", Key="raw/gone.csv")
    s3.put_object(Bucket="data", Key="raw/replaced.csv", Body=b"other")
    job.run(s3, BUCKET_NAME="data")
    assert {file["key"]: file["verdict"] for file in job.report()["files"]} == {
        "raw/a": "INGESTED",
        "raw/a/b.csv": "INGESTED",
        "raw/gone.csv": "VANISHED",
        "raw/replaced.csv": "VANISHED",
    }
    assert job.account("raw/gone.csv")["reason"] == "deleted after the run was planned"
    assert identifiers(job.store.records()) == ["raw/a", "raw/a/b.csv"]
    assert [path.name for path in (job.base / "processing").iterdir()] == ["input", "output"]


def test_a_plan_whose_objects_all_vanished_is_an_empty_ingestion(job: Job, s3: "S3Client") -> None:
    upload(job, s3, "raw/gone.csv", to_csv(GOOD))
    s3.delete_object(Bucket="data", Key="raw/gone.csv")
    job.run(s3, BUCKET_NAME="data")
    assert job.report()["records"] == 0


def test_a_refused_object_beside_one_that_vanished_fails_and_is_named(job: Job, s3: "S3Client") -> None:
    upload(job, s3, "raw/gone.csv", to_csv(GOOD))
    upload(job, s3, "raw/empty.csv", b"")
    s3.delete_object(Bucket="data", Key="raw/gone.csv")
    with pytest.raises(RejectedFilesError) as caught:
        job.run(s3, BUCKET_NAME="data")
    assert caught.value.rejected == [("raw/empty.csv", "empty file")]


@pytest.mark.parametrize(("host", "keys"), [("algo-1", ["raw/a.csv"]), ("algo-2", ["raw/b.csv"])])
def test_each_instance_reads_its_share(job: Job, s3: "S3Client", host: str, keys: list[str]) -> None:
    job.configure("resourceconfig", {"current_host": host, "hosts": ["algo-1", "algo-2"]})
    for key in ("raw/a.csv", "raw/b.csv"):
        upload(job, s3, key, to_csv(GOOD))
    job.run(s3, BUCKET_NAME="data")
    report = json.loads((job.base / f"processing/output/report/{host}.json").read_text())
    assert [file["key"] for file in report["files"]] == keys


def test_temporary_files_are_on_the_jobs_volume(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """SageMaker sizes the volume of /opt/ml; /tmp is on the disk of the instance."""
    job.put("raw/a.csv", to_csv(GOOD))
    seen = []
    read = formats.read_rows

    def spied(*arguments: Any) -> Any:
        seen.append(Path(tempfile.gettempdir()).parent)
        return read(*arguments)

    monkeypatch.setattr("processing.ingestion.checked_rows.read_rows", spied)
    before = tempfile.gettempdir()
    job.run()
    assert seen == [job.base / "processing"]
    assert tempfile.gettempdir() == before


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for count in (2_000, 10_000):
        job = Job(tmp_path / str(count))
        job.put("raw/a.csv", to_csv([record(str(i), text="a review " * 200) for i in range(count)]))
        job.store = Forgetful()
        job.athena = Athena(job.store)
        tracemalloc.start()
        with contextlib.suppress(VisibilityError):  # a store that forgets has nothing to show
            job.run(OFFLINE_STORE_TIMEOUT_MINUTES="0.0001")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert job.report()["records"] == count
    # The larger file has 14 MB more; what may differ are the batches under way, 2 MB at most.
    assert peaks[1] - peaks[0] < 2 << 20


class Forgetful(FeatureStore):
    def batch_write_record(self, *, Entries: list[Record]) -> Record:
        return {"UnprocessedEntries": [], "Errors": []}


def start(base: Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(FOLDER / "ingest")],
        env=os.environ | {"SAGEMAKER_BASE_DIR": str(base)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


UNREACHABLE = {
    "FEATURE_GROUP_NAME": "retrain-records",
    "OFFLINE_STORE_DATABASE": "sagemaker_featurestore",
    "OFFLINE_STORE_TABLE": "records",
    "ATHENA_OUTPUT_URI": "s3://data/athena",
    "OFFLINE_STORE_TIMEOUT_MINUTES": "1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


def test_executable_leaves_the_exit_message_and_the_report(job: Job) -> None:
    job.put("raw/noise.csv", b"\x89noise")
    job.write_plan()
    process = start(job.base, **UNREACHABLE)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert json.loads((job.base / "output/message").read_text()) == {
        "rejected": [{"file": "raw/noise.csv", "reason": "not UTF-8 text: byte 0x89 in the header"}]
    }
    assert "raw/noise.csv: not UTF-8 text" in errors
    assert job.account("raw/noise.csv")["verdict"] == "QUARANTINED"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_executable_stops_on_a_signal(job: Job, number: int) -> None:
    job.put("raw/a.csv", to_csv(GOOD))
    job.write_plan()
    process = start(job.base, **UNREACHABLE)  # its first call fails, and is made again and again
    assert process.stdout is not None
    assert process.stdout.readline() == "1 new files\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert errors.endswith("stopped\n")
    message = json.loads((job.base / "output/message").read_text())
    assert message == {"error": "stopped before the job was complete"}
    assert job.report()["records"] == 0
