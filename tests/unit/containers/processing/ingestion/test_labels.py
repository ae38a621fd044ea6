"""Labels that earlier runs did not have: they are named, and near twins of earlier ones are held back."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.errors import RejectedFilesError, VisibilityError
from processing.ingestion import contract, offline_store
from processing.ingestion.labels import form
from processing.ingestion.rows import LINE_BREAK, has_line_break
from tests.unit.containers.processing.ingest_job import Job, Record, record, to_csv, to_json_lines

EARLY = "2026-11-22T00:00:00.000Z"


def earlier(key: str, label: str, at: str = EARLY, source: str = "raw/old.csv", **more: Any) -> Record:
    return {"record_id": key, "event_time": at, "source": source, "label": label} | more


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = Job(tmp_path / "ml")
    job.athena.earlier = [*(earlier(f"p{i}", "pos") for i in range(3)), earlier("n", "neg")]
    return job


def change_label_rules(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    rules = contract.load()
    label = dataclasses.replace(rules.fields["label"], **settings)
    changed = dataclasses.replace(rules, fields={**rules.fields, "label": label})
    monkeypatch.setattr(contract, "load", lambda: changed)


def file_of(*labels: str) -> bytes:
    return to_json_lines([record(str(i), label) for i, label in enumerate(labels)])


def held(job: Job, key: str = "raw/a.jsonl") -> dict[str, int]:
    return {item["label"]: item["rows"] for item in job.account(key)["heldLabels"]}


def test_new_labels_are_named_with_their_rows(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    job.put("raw/a.jsonl", file_of("pos", "meh", "meh", "so"))
    job.run()
    file = job.account("raw/a.jsonl")
    assert file["newLabels"] == {"meh": 2, "so": 1}
    assert file["notes"] == ["labels that are new: 'meh' (2), 'so' (1)"]
    assert "labels that are new: 'meh' (2), 'so' (1)" in capsys.readouterr().out


def test_labels_of_a_file_that_is_quarantined_are_not_new(job: Job) -> None:
    job.put("raw/a.jsonl", file_of("meh", "", "pos"))
    job.put("raw/b.jsonl", file_of("pos"))
    job.run()
    assert job.account("raw/a.jsonl")["verdict"] == "QUARANTINED"
    assert job.account("raw/a.jsonl")["newLabels"] == {}


@pytest.mark.parametrize(
    ("label", "before"),
    [
        ("POS", "pos"),
        ("Pos ", "pos"),
        ("\uff50\uff4f\uff53", "pos"),
        ("STRASSE", "Stra\u00dfe"),
        ("o\ufb00", "off"),
        ("\u0130stanbul", "i\u0307stanbul"),
        ("CAFE\u0301", "caf\u00e9"),
        ("x\u00b2", "X2"),
    ],
)
def test_near_twins_of_earlier_labels_are_held_back(job: Job, label: str, before: str) -> None:
    job.athena.earlier.append(earlier("x", before))
    job.put("raw/a.jsonl", file_of("pos", "neg", label))
    job.run()
    file = job.account("raw/a.jsonl")
    assert (file["ingested"], file["quarantined"], file["reason"]) == (2, 1, None)
    [item] = file["heldLabels"]
    assert (item["like"], item["rows"]) == (before, 1)
    [line] = job.quarantined("raw/a.jsonl")
    assert (line["field"], line["row"]) == ("label", 3)
    assert f"differs from '{before}' (" in line["reason"]
    assert "[fields.label.values] of contract.toml" in line["reason"]


@pytest.mark.parametrize("label", ["positive", "po", "pos.", "p o s", "neg/pos", "p\u00f6s", "1", "posit"])
def test_other_labels_are_no_twins(job: Job, label: str) -> None:
    job.put("raw/a.jsonl", file_of("pos", label))
    job.run()
    assert job.account("raw/a.jsonl")["newLabels"] == {label: 1}


def test_held_rows_do_not_count_as_bad(job: Job) -> None:
    job.put("raw/a.jsonl", file_of("pos", *["POS"] * 30))
    job.run()
    file = job.account("raw/a.jsonl")
    assert (file["verdict"], file["ingested"], held(job)) == ("INGESTED", 1, {"POS": 30})
    assert file["lines"]["quarantined"] == 30


def test_a_file_of_held_rows_is_quarantined(job: Job) -> None:
    job.put("raw/a.jsonl", file_of("POS", "NEG"))
    with pytest.raises(RejectedFilesError, match="no row is left; 2 of 2 rows are held back"):
        job.run()
    assert [line["row"] for line in job.quarantined("raw/a.jsonl")] == [1, 2, None]


def test_the_most_frequent_of_several_twins_is_named(job: Job) -> None:
    job.athena.earlier.append(earlier("x", "Pos"))
    job.put("raw/a.jsonl", file_of("POS", "Pos", "pos"))
    job.run()
    assert job.account("raw/a.jsonl")["heldLabels"] == [{"label": "POS", "like": "pos", "rows": 1}]


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"values": {"POS": "pos"}}, {"neg": 1, "pos": 1}),
        ({"values": {"POS": "POS"}}, {"POS": 1, "neg": 1}),
        ({"values": {"plus": "POS"}}, {"POS": 1, "neg": 1}),
        ({"allowed": frozenset({"pos", "neg", "POS"})}, {"POS": 1, "neg": 1}),
    ],
)
def test_the_contract_decides(
    job: Job, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], labels: dict[str, int]
) -> None:
    change_label_rules(monkeypatch, **settings)
    job.put("raw/a.jsonl", file_of("POS", "neg"))
    job.run()
    assert job.account("raw/a.jsonl")["labels"] == labels
    assert held(job) == {}


def test_twins_that_come_together_are_kept_and_named(job: Job) -> None:
    """None of them is earlier, whatever the order of the files, and a language may distinguish them."""
    job.put("raw/a.jsonl", file_of("us", "pos"))
    job.put("raw/b.jsonl", file_of("US", "pos"))
    job.run()
    assert [held(job, key) for key in ("raw/a.jsonl", "raw/b.jsonl")] == [{}, {}]
    assert any(
        "differ in case only: 'US' (1), 'us' (1)" in note for note in job.account("raw/b.jsonl")["notes"]
    )


def test_a_file_that_comes_again_may_spell_its_labels_in_another_way(job: Job) -> None:
    job.put("raw/old.csv", to_csv([record("p0", "POS"), record("n", "NEG")]))
    job.run()
    assert job.account("raw/old.csv")["ingested"] == 2


def test_a_file_on_another_instance_may_spell_its_labels_in_another_way(job: Job) -> None:
    """Which labels are held back does not depend on the number of instances."""
    job.athena.earlier = [earlier("p", "Pos", source="raw/old.jsonl"), earlier("n", "neg")]
    job.configure("resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]})
    job.put("raw/a.jsonl", file_of("pos", "neg"))
    job.plan("raw/old.jsonl")
    job.run()
    assert held(job) == {}


@pytest.mark.parametrize("forget", [{"files": [{"key": "raw/o'ld.csv"}]}, {"ids": ["p'1", "p2"]}])
def test_what_the_run_forgets_does_not_count_as_earlier(job: Job, forget: Record) -> None:
    forgotten = {"source": "raw/o'ld.csv"}
    job.athena.earlier = [earlier("p'1", "Pos", **forgotten), earlier("p2", "Pos", **forgotten)]
    job.athena.earlier.append(earlier("n", "neg"))
    job.put("raw/a.jsonl", file_of("pos", "neg"))
    job.more = {"forget": {"at": "2026-11-24T00:00:00.000Z", **forget}}
    job.run()
    assert (held(job), job.account("raw/a.jsonl")["newLabels"]) == ({}, {"pos": 1})


def test_the_latest_version_of_a_record_counts_unless_it_is_deleted(job: Job) -> None:
    later = "2026-11-22T00:00:00.001Z"
    job.athena.earlier += [
        earlier("a", "Meh"),
        earlier("a", "pos", later),
        earlier("b", "So"),
        earlier("b", "So", later, is_deleted=True),
    ]
    job.put("raw/a.jsonl", file_of("meh", "so"))
    job.run()
    assert job.account("raw/a.jsonl")["newLabels"] == {"meh": 1, "so": 1}


def test_a_repeated_job_reports_the_same(job: Job) -> None:
    job.put("raw/a.jsonl", file_of("meh", "POS", "pos"))
    job.run()
    once = job.account("raw/a.jsonl")
    job.run()
    assert job.account("raw/a.jsonl") == once
    assert once["newLabels"] == {"meh": 1}


def test_a_run_without_a_good_row_costs_no_query(job: Job) -> None:
    job.put("raw/a.csv", b"")
    with pytest.raises(RejectedFilesError):
        job.run()
    assert not job.athena.label_queries


def test_one_query_serves_all_files(job: Job) -> None:
    for name in "abc":
        job.put(f"raw/{name}'s.jsonl", file_of("pos", "meh"))
    job.run()
    [query] = job.athena.label_queries
    assert "source NOT IN ('raw/a''s.jsonl', 'raw/b''s.jsonl', 'raw/c''s.jsonl')" in query
    assert "event_time < '2026-11-23T03:07:15.000Z'" in query
    assert "text" not in query


RETRYABLE = {"State": "FAILED", "AthenaError": {"Retryable": True}, "StateChangeReason": "exhausted"}


def test_the_query_is_repeated_as_long_as_athena_says_that_it_helps(job: Job) -> None:
    job.athena.label_states = [RETRYABLE, RETRYABLE]
    job.put("raw/a.jsonl", file_of("POS", "pos"))
    job.run()
    assert held(job) == {"POS": 1}


def test_no_answer_is_not_taken_for_no_label(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline_store, "FIRST_PAUSE_S", 0.001)
    job.athena.label_states = [RETRYABLE] * 9
    job.put("raw/a.jsonl", file_of("POS", "pos"))
    with pytest.raises(VisibilityError, match=r"did not answer 5 queries of sagemaker_featurestore\."):
        job.run()
    assert not job.store.writes


def test_the_limit_counts_the_labels_of_earlier_runs(job: Job) -> None:
    job.athena.earlier = [earlier(str(i), f"label {i}") for i in range(99)]
    job.put("raw/a.jsonl", file_of("label 0", "new 1"))
    job.put("raw/b.jsonl", file_of("label 0", "new 2"))
    job.put("raw/c.jsonl", file_of("label 0", "new 1"))
    job.run()
    reasons = [file["reason"] for file in job.report()["files"]]
    assert reasons[0] is reasons[2] is None
    assert reasons[1].startswith("with 99 other labels of earlier files, more than 100 different labels")


@given(st.text())
def test_a_form_is_its_own_form(label: str) -> None:
    assert form(form(label)) == form(label)


@given(st.text(st.sampled_from("ab\n\r\x85\u2028\u2029\x0b\x0c\u00e9\U0001f3ac"), max_size=5))
def test_line_breaks_are_those_of_the_pattern(text: str) -> None:
    assert has_line_break(text) is (LINE_BREAK.search(text) is not None)
