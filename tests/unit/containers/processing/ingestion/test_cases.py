"""The files of tests/cases, with what is right for each."""

from pathlib import Path
from typing import NamedTuple

import pytest

from processing.errors import RejectedFilesError
from tests.unit.containers.processing.ingest_job import Job

CASES = Path(__file__).parents[4] / "cases"
HALVES = {"neg": 30, "pos": 30}
NEEDED = "text,label[,id,split] are needed, each once"


class Case(NamedTuple):
    """The counts of a file; `notes` and `reasons` hold a part of each note and quarantined row's reason."""

    rows: int
    ingested: int
    labels: dict[str, int]
    skipped: int = 0
    quarantined: int = 0
    notes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


NULL_WORDS = tuple(f"'{word}' stands for no label" for word in ("nan", "\\N", "NULL", "None"))
READ = {
    "backslash-escape.csv": Case(60, 60, {"neg": 29, "pos": 31}),
    "backslash-escape-end.csv": Case(60, 60, HALVES),
    "corrected-v1.csv": Case(10, 10, {"neg": 5, "pos": 5}),
    "corrected-v2.csv": Case(8, 8, {"neg": 4, "pos": 4}),
    "cr-only.csv": Case(60, 60, HALVES),
    "decimal-label.parquet": Case(40, 40, {"0": 20, "1": 20}),
    "exact-duplicates.csv": Case(
        35,
        30,
        {"neg": 15, "pos": 15},
        skipped=5,
        notes=("5 rows skipped: the text and the label of an earlier",),
    ),
    "gzip-concat-headers.csv.gz": Case(80, 80, {"neg": 40, "pos": 40}),
    "label-lookalikes.csv": Case(
        32,
        32,
        {"Caf\u00e9": 8, "POS": 4, "Pos": 4, "pos": 16},
        notes=("labels that differ in case only: 'POS' (4), 'Pos' (4), 'pos' (16)",),
    ),
    "many-labels-a.csv": Case(240, 240, {f"intent_{i:03}": 4 for i in range(60)}),
    "null-words.csv": Case(65, 61, {"neg": 30, "pos": 31}, quarantined=4, reasons=NULL_WORDS),
    "one-latin1-text.parquet": Case(
        60, 59, {"neg": 29, "pos": 30}, quarantined=1, reasons=("text is not UTF-8",)
    ),
    "padded-columns.parquet": Case(40, 40, {"neg": 20, "pos": 20}),
    "prodigy.jsonl": Case(
        60, 30, {"pos": 30}, skipped=30, notes=("30 rows skipped: the annotator's answer is",)
    ),
    "pzstd-like.csv.zst": Case(40, 40, {"neg": 20, "pos": 20}),
    "repeated-header-bom.csv": Case(60, 60, HALVES),
    "revert-1.csv": Case(10, 10, {"neg": 5, "pos": 5}),
    "revert-2.csv": Case(10, 10, {"neg": 5, "pos": 5}),
    "space-after-comma-label.csv": Case(60, 60, HALVES),
    "space-after-comma-text.csv": Case(60, 60, HALVES),
    "split-all-null.parquet": Case(60, 60, HALVES),
    "text-without-utf8.parquet": Case(40, 40, {"neg": 20, "pos": 20}),
    "uuid-id.parquet": Case(40, 40, {"neg": 20, "pos": 20}),
}
REFUSED = {
    "label-twice.parquet": f"the columns are text,label,label; {NEEDED}",
    "request-with-header.csv": f"the columns are text; {NEEDED}",
}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "ml")


def put(job: Job, name: str) -> None:
    job.put(f"raw/{name}", (CASES / name).read_bytes())


@pytest.mark.parametrize(("name", "case"), READ.items(), ids=READ)
def test_file_is_read(job: Job, name: str, case: Case) -> None:
    put(job, name)
    job.run()
    file = job.account(f"raw/{name}")
    assert (file["verdict"], file["reason"]) == ("INGESTED", None)
    counts = {count: file[count] for count in ("rows", "ingested", "skipped", "quarantined", "labels")}
    assert counts == {count: getattr(case, count) for count in counts}
    for found, part in zip(file["notes"], case.notes, strict=True):
        assert part in found
    for line, part in zip(job.quarantined(f"raw/{name}"), case.reasons, strict=True):
        assert part in line["reason"]
    assert len(job.stored(f"raw/{name}")) == case.ingested


@pytest.mark.parametrize(("name", "reason"), REFUSED.items(), ids=REFUSED)
def test_file_is_refused(job: Job, name: str, reason: str) -> None:
    put(job, name)
    with pytest.raises(RejectedFilesError) as caught:
        job.run()
    assert caught.value.rejected[0][1].startswith(reason)


def test_every_case_is_tested() -> None:
    names = {path.name for path in CASES.iterdir()} - {"INDEX.md", "many-labels-b.csv"}
    assert names == READ.keys() | REFUSED.keys()


def test_labels_beyond_the_limit_are_refused_and_later_files_go_on(job: Job) -> None:
    for name in ("many-labels-a.csv", "many-labels-b.csv", "revert-1.csv"):
        put(job, name)
    job.run()
    assert job.account("raw/many-labels-b.csv")["reason"].startswith(
        "with 60 other labels of earlier files, more than 100 different labels"
    )
    assert not job.stored("raw/many-labels-b.csv")
    assert len(job.stored("raw/revert-1.csv")) == 10


def test_labels_beyond_the_limit_are_refused_in_a_later_run(job: Job) -> None:
    put(job, "many-labels-a.csv")
    job.run()
    job.next_run()
    put(job, "many-labels-b.csv")
    put(job, "revert-1.csv")
    job.run()
    assert job.account("raw/many-labels-b.csv")["reason"].startswith(
        "with 60 other labels of earlier files, more than 100 different labels"
    )
    assert not job.stored("raw/many-labels-b.csv")
    assert len(job.stored("raw/revert-1.csv")) == 10


def test_lookalikes_of_earlier_labels_are_held_back(job: Job) -> None:
    put(job, "revert-1.csv")
    job.run()
    job.next_run()
    put(job, "label-lookalikes.csv")
    job.run()
    file = job.account("raw/label-lookalikes.csv")
    assert (file["ingested"], file["quarantined"], file["reason"]) == (24, 8, None)
    assert file["newLabels"] == {"Caf\u00e9": 8}
    assert file["heldLabels"] == [
        {"label": "POS", "like": "pos", "rows": 4},
        {"label": "Pos", "like": "pos", "rows": 4},
    ]
    reasons = {line["reason"] for line in job.quarantined("raw/label-lookalikes.csv")}
    assert any(
        reason.startswith("the label 'Pos' is new, and differs from 'pos' (5 records)") for reason in reasons
    )


def texts(job: Job, name: str) -> list[str]:
    put(job, name)
    job.run()
    return [record["text"] for record in job.stored(f"raw/{name}")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("backslash-escape.csv", 'He called it "art", I call it noise'),
        ("backslash-escape.csv", 'A "must see" for all, really'),
        ("backslash-escape-end.csv", 'Ends in a quote "'),
        ("backslash-escape-end.csv", 'And begins with one: "great"'),
        ("space-after-comma-text.csv", "Film number 0 was bright"),
    ],
)
def test_text_has_no_marks_of_its_format(job: Job, name: str, expected: str) -> None:
    assert expected in texts(job, name)


def test_ids_of_uuids_are_their_texts(job: Job) -> None:
    put(job, "uuid-id.parquet")
    job.run()
    assert "00000000-0000-0000-0000-000000000001" in {row["record_id"] for row in job.store.records()}
