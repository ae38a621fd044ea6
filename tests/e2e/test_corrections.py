"""A file that is uploaded again replaces what it gave; files and ids are forgotten for later datasets."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import Stack, as_csv
from tests.e2e.test_retrain import drop_as_one, output

FORGET = {"forget": {"files": ["raw/unnamed.csv"], "ids": ["fix/1"]}}


def named(*numbers: int, label: str = "pos") -> bytes:
    rows = [
        {"id": f"fix/{number}", "text": f"a fine film, number {number}", "label": label, "split": "train"}
        for number in numbers
    ]
    return as_csv(rows)


def unnamed(*words: str) -> bytes:
    return as_csv([{"text": f"a film that is {word}", "label": "pos"} for word in words])


def dataset(stack: Stack, execution: dict[str, Any]) -> dict[str, Any]:
    """The report of an execution's dataset."""
    uri = output(execution)["plan"]["outputUri"]
    found: dict[str, Any] = json.loads(stack.read(f"{uri}/dataset/report/dataset.json"))
    return found


def rows_of(stack: Stack, execution: dict[str, Any]) -> tuple[int, int]:
    """The rows of the dataset that each of both files gave."""
    sources = dataset(stack, execution)["sources"]
    return sources.get("raw/named.csv", 0), sources.get("raw/unnamed.csv", 0)


def item(stack: Stack, name: str) -> dict[str, Any]:
    """A file's item in the ledger."""
    found: dict[str, Any] = stack.client("dynamodb").get_item(
        TableName=stack.output("TableName"), Key={"pk": {"S": "OBJECT"}, "sk": {"S": f"raw/{name}"}}
    )["Item"]
    return found


@pytest.mark.usefixtures("first_model")
def test_files_are_corrected_replaced_and_forgotten(stack: Stack) -> None:
    # Two instances: each ingests one of both files, and the first one deletes the records of both.
    stack.deploy(IngestInstanceCount="2", MaxTuningJobs="1")
    first = {"named.csv": named(1, 2, 3), "unnamed.csv": unnamed("good", "better", "best", "fair")}
    (added,) = stack.run_after(lambda: drop_as_one(stack, first))
    assert rows_of(stack, added) == (3, 4)
    assert output(added)["ledger"]["deletedRecords"] == 0

    second = {"named.csv": named(3, label="neg"), "unnamed.csv": unnamed("good", "best")}
    (corrected,) = stack.run_after(lambda: drop_as_one(stack, second))
    assert rows_of(stack, corrected) == (1, 2)
    assert output(corrected)["ledger"]["deletedRecords"] == 4
    assert "Deleted: 4 records that replaced files no longer have." in output(corrected)["ledger"]["summary"]
    assert item(stack, "named.csv")["deletedRecords"] == {"N": "2"}

    (reverted,) = stack.run_after(lambda: drop_as_one(stack, first))
    assert dataset(stack, reverted)["sha256"] == dataset(stack, added)["sha256"]

    forgotten = stack.run(FORGET)
    assert rows_of(stack, forgotten) == (2, 0)
    assert output(forgotten)["plan"]["forced"] is True
    assert output(forgotten)["ledger"]["deletedRecords"] == 5
    assert "Forgotten: 1 file and 1 id, 5 records." in output(forgotten)["ledger"]["summary"]
    assert stack.ledger()["unnamed.csv"] == "FORGOTTEN"
    assert output(stack.run({}))["outcome"]["status"] == "NOTHING_NEW"

    (again,) = stack.run_after(lambda: stack.drop("named.csv", named(1, 2, 3, 4)))
    assert rows_of(stack, again) == (3, 0)
    assert dataset(stack, again)["ingested"]["skippedRows"] == 1

    # The datasets of earlier times stay what they were.
    for earlier in (added, corrected):
        as_of = output(earlier)["plan"]["asOf"]
        repeated = stack.run({"force": True, "asOf": as_of})
        assert dataset(stack, repeated)["sha256"] == dataset(stack, earlier)["sha256"]


@pytest.mark.usefixtures("first_model")
def test_a_deleted_file_is_kept_and_named_or_forgotten_as_the_stack_says(stack: Stack) -> None:
    stack.drop("named.csv", named(2, 3))
    stack.quiet()
    stack.client("s3").delete_object(Bucket=stack.output("DataBucketName"), Key="raw/named.csv")
    kept = stack.run({"force": True})
    assert rows_of(stack, kept)[0] == 2
    assert "raw/named.csv" in output(kept)["plan"]["goneNote"]
    assert output(kept)["plan"]["goneNote"] in output(kept)["ledger"]["summary"]

    stack.deploy(ForgetDeletedFiles="true", MaxTuningJobs="1")
    forgotten = stack.run({})
    assert rows_of(stack, forgotten)[0] == 0
    assert output(forgotten)["ledger"]["deletedRecords"] == 2
    assert stack.ledger()["named.csv"] == "FORGOTTEN"
    assert output(stack.run({}))["outcome"]["status"] == "NOTHING_NEW"

    (uploaded,) = stack.run_after(lambda: stack.drop("named.csv", named(2, 3)))
    assert rows_of(stack, uploaded)[0] == 2
    stack.deploy(ForgetDeletedFiles="false")


@pytest.mark.usefixtures("first_model")
def test_an_unknown_file_is_refused_by_name(stack: Stack) -> None:
    execution = stack.run({"forget": {"files": ["raw/sample.cvs"]}})
    assert execution["status"] == "FAILED"
    assert 'did you mean "raw/sample.csv"?' in execution["cause"]
