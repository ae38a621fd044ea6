import dataclasses
import random
from pathlib import Path

import pytest

from processing.errors import RejectedFilesError
from processing.ingestion import contract
from processing.ingestion.formats import parquet
from tests.unit.containers.processing.bad_inputs import FILES, ROWS
from tests.unit.containers.processing.bad_inputs.files import BadFile
from tests.unit.containers.processing.bad_inputs.rows import GOOD_ROWS, BadRow
from tests.unit.containers.processing.ingest_job import GOOD, Job, to_csv, to_parquet

MAX_BYTES = 1_000_000
MAX_MEMBERS = 1_000


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "ml")


def lower_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a bomb need not be large to pass."""
    rules = dataclasses.replace(contract.load(), max_bytes=MAX_BYTES, max_members=MAX_MEMBERS)
    monkeypatch.setattr(contract, "load", lambda: rules)


def test_there_are_enough_of_them() -> None:
    assert len(ROWS) + len(FILES) >= 100


@pytest.mark.parametrize("bad", ROWS.values(), ids=ROWS)
def test_quarantines_the_bad_row_and_ingests_the_others(job: Job, bad: BadRow) -> None:
    job.put("raw/a", bad.content)
    job.run()
    account = job.account("raw/a")
    assert (account["verdict"], account["quarantined"]) == ("INGESTED", 1)
    assert len(job.stored("raw/a")) == account["ingested"] >= GOOD_ROWS
    [line] = job.quarantined("raw/a")
    assert line["field"] == bad.field
    assert line["reason"].startswith(bad.reason)
    assert line["row"] == account["rows"]
    assert len(line["value"]) <= 200


@pytest.mark.parametrize("bad", FILES.values(), ids=FILES)
def test_quarantines_the_bad_file_and_ingests_the_others(
    job: Job, bad: BadFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "1,000" in bad.reason:
        lower_the_bounds(monkeypatch)
    job.put("raw/a", bad.content)
    job.put("raw/good.csv", to_csv(GOOD))
    job.run()
    account = job.account("raw/a")
    assert account["verdict"] == "QUARANTINED"
    assert account["reason"].startswith(bad.reason)
    assert bad.rows is None or account["rows"] == bad.rows
    assert not job.stored("raw/a")
    assert len(job.stored("raw/good.csv")) == len(GOOD)
    last = job.quarantined("raw/a")[-1]
    assert (last["row"], last["line"], last["reason"]) == (None, None, account["reason"])


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("id, text", "the columns are id,text; text,label[,id,split] are needed"),
        ("id, 5 AS text, label", "the column text is INTEGER; string is needed"),
        (
            "id, '\\xE9'::BLOB AS text, label",
            "4 of 4 rows are bad, more than 10%; the first: text is not UTF-8",
        ),
        ("id, [text] AS text, label", "the column text is VARCHAR[]; string is needed"),
        (
            "id, text, 0.5::DOUBLE AS label",
            "4 of 4 rows are bad, more than 10%; the first: label is not of type integer or string",
        ),
        ("id, text AS Texts, label", "the columns are id,Texts,label; text,label"),
        ("id, text, DATE '2026-01-01' AS label", "the column label is DATE; integer or string is needed"),
        ("id, NULL::VARCHAR AS text, label", "4 of 4 rows are bad, more than 10%; the first: no text"),
        ("id, repeat('a', 400000) AS text, label", "4 of 4 rows are bad, more than 10%; the first: text of"),
    ],
)
def test_parquet_of_wrong_columns(job: Job, tmp_path: Path, columns: str, reason: str) -> None:
    job.put("raw/a", to_parquet(GOOD, tmp_path, columns))
    with pytest.raises(RejectedFilesError) as caught:
        job.run()
    assert caught.value.rejected[0][1].startswith(reason)


def test_parquet_cut_short_or_damaged(job: Job, tmp_path: Path) -> None:
    content = to_parquet(GOOD, tmp_path)
    job.put("raw/short", content[: len(content) // 2])
    job.put("raw/changed", content[:8] + bytes(60) + content[68:])
    job.put("raw/good.csv", to_csv(GOOD))
    job.run()
    for key in ("raw/short", "raw/changed"):
        assert job.account(key)["reason"].startswith("not readable as Parquet: ")
        assert str(tmp_path) not in job.account(key)["reason"]


def test_parquet_bomb(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lower_the_bounds(monkeypatch)
    column = "repeat('a', 300000) AS text"
    job.put("raw/a", to_parquet(GOOD, tmp_path, f"id, {column}, label"))
    with pytest.raises(RejectedFilesError) as caught:
        job.run()
    assert caught.value.rejected[0][1] == "more than 1,000,000 characters; split the file"
    assert len(job.base.joinpath("processing/input/raw/raw/a").read_bytes()) < 100_000


def test_parquet_of_a_row_group_that_does_not_fit_in_memory(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MEMORY", "2MB")
    texts = [
        {"id": str(i), "text": random.Random(i).randbytes(5000).hex(), "label": "pos"} for i in range(600)
    ]
    job.put("raw/a", to_parquet(texts, tmp_path))
    with pytest.raises(RejectedFilesError) as caught:
        job.run()
    assert caught.value.rejected[0][1] == "a row group needs more than 2MB of memory; write smaller ones"
