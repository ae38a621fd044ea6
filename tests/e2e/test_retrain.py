"""The whole loop: what is dropped is ingested, trained on, judged and served; what is bad changes nothing."""

import json
import random
from typing import Any

import pytest

from localaws.testing import wait_until
from tests.e2e.conftest import Stack, as_csv, sample_rows

GOOD = "A wonderful, moving and beautifully acted film. I loved it."
BAD = "A terrible, boring and badly acted film. I hated it."
UNREADABLE = {
    "noise.csv": random.Random(1).randbytes(5_000),
    "empty.csv": b"",
    "columns.csv": b"name,value\na,b\n",
}


def renamed(rows: list[dict[str, str]], prefix: str) -> list[dict[str, str]]:
    """The same texts as other records."""
    return [{**row, "id": f"{prefix}/{row['id']}"} for row in rows]


def output(execution: dict[str, Any]) -> dict[str, Any]:
    """What an execution that succeeded ended with."""
    assert execution["status"] == "SUCCEEDED", execution
    found: dict[str, Any] = json.loads(execution["output"])
    return found


def drop_as_one(stack: Stack, files: dict[str, bytes]) -> None:
    """Put files under raw/ for one run, however long each takes: only the last is told of."""
    s3, bucket = stack.client("s3"), stack.output("DataBucketName")
    for number, (name, body) in enumerate(files.items(), 1):
        told: dict[str, Any] = {"EventBridgeConfiguration": {}} if number == len(files) else {}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=told)
        s3.put_object(Bucket=bucket, Key=f"raw/{name}", Body=body)


def test_a_dropped_file_ends_in_two_endpoints_that_answer(stack: Stack, live: dict[str, str]) -> None:
    labels = {row["label"] for row in sample_rows()}
    for text, expected in ((GOOD, "pos"), (BAD, "neg")):
        answer = stack.ask(text)
        assert answer["label"] == expected
        assert set(answer["probabilities"]) == labels
        assert stack.ask_later(text) == answer
    assert stack.lock() is None
    assert stack.ledger()["sample.csv"] == "INGESTED"


def test_the_registry_knows_where_a_model_comes_from(stack: Stack, live: dict[str, str]) -> None:
    model = stack.packages()[-1]
    origin = model["CustomerMetadataProperties"]
    report = stack.read(origin["Report"])
    assert model["ModelApprovalStatus"] == "Approved"
    assert model["InferenceSpecification"]["Containers"][0]["ImageDigest"].startswith("sha256:")
    assert len(origin["DatasetSha256"]) == 64
    assert origin["MaxTuningJobs"] == "2"
    job = stack.client("sagemaker").describe_training_job(TrainingJobName=origin["TrainingJob"])
    assert job["TrainingJobStatus"] == "Completed"
    assert b"<svg" in report
    assert b"USD" in report, "the costs are added to the report"


def test_nothing_new_changes_nothing(stack: Stack, live: dict[str, str]) -> None:
    execution = stack.run({})
    assert execution["status"] == "SUCCEEDED"
    assert stack.entered(execution["executionArn"])[-1] == "NothingNew"
    assert stack.serving() == live
    assert stack.lock() is None


def test_a_model_that_is_only_as_good_leaves_the_champion_live(stack: Stack, live: dict[str, str]) -> None:
    execution = stack.run({"force": True, "maxTuningJobs": 1})
    champion = output(execution)["plan"]["championModelPackageArn"].rpartition("model-package/")[2]
    evaluation = output(execution)["evaluation"]
    assert output(execution)["outcome"]["status"] == "REJECTED"
    assert champion in evaluation["summary"]
    assert "accuracy" in evaluation["summary"]
    assert "0.001" in evaluation["summary"]
    assert stack.packages()[0]["ApprovalDescription"] == evaluation["summary"]
    steps = stack.steps(execution)
    assert "TrainModel" in steps
    assert steps["CompareModels"]["StepStatus"] == "Succeeded"
    assert b"hampion" in stack.read(evaluation["reportUri"])
    assert stack.serving() == live


def test_the_same_time_gives_the_same_dataset_and_runs_nothing_twice(
    stack: Stack, live: dict[str, str]
) -> None:
    first = stack.run({"force": True, "maxTuningJobs": 1})
    again = {"force": True, "maxTuningJobs": 1, "asOf": output(first)["plan"]["asOf"]}
    second = stack.run(again)
    assert output(second)["outcome"]["status"] == "REJECTED"
    hashes = [model["CustomerMetadataProperties"]["DatasetSha256"] for model in stack.packages()[:2]]
    assert hashes[0] == hashes[1]
    cached = {name for name, step in stack.steps(second).items() if step.get("CacheHitResult")}
    assert {"IngestRecords", "CreateDataset", "TrainModel"} <= cached


def test_only_what_is_new_is_ingested(stack: Stack, live: dict[str, str]) -> None:
    rows = renamed(sample_rows()[:30], "more")
    (execution,) = stack.run_after(lambda: stack.drop("more.csv", as_csv(rows)))
    assert output(execution)["plan"]["newObjects"] == 1
    assert output(execution)["ledger"]["records"] == 30
    assert stack.ledger()["more.csv"] == "INGESTED"


def test_bad_rows_are_set_aside_with_their_reasons(stack: Stack, live: dict[str, str]) -> None:
    rows = renamed(sample_rows()[:40], "partly")
    rows[7]["label"] = ""
    (execution,) = stack.run_after(lambda: stack.drop("partly.csv", as_csv(rows)))
    assert output(execution)["ledger"]["records"] == 39
    assert output(execution)["ledger"]["quarantinedRows"] == 1
    [line] = stack.read(f"{output(execution)['plan']['quarantineUri']}/algo-1.jsonl").splitlines()
    refused = json.loads(line)
    assert (refused["file"], refused["row"], refused["field"]) == ("raw/partly.csv", 8, "label")


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_file_is_named_and_what_was_live_stays_live(
    stack: Stack, live: dict[str, str], name: str
) -> None:
    serving = stack.serving()
    (failed,) = stack.run_after(lambda: stack.drop(name, UNREADABLE[name]))
    assert failed["status"] == "FAILED"
    assert failed["error"] == "IngestRecords.Failed"
    assert name in failed["cause"]
    assert stack.ledger()[name] == "QUARANTINED"
    assert stack.serving() == serving
    assert stack.lock() is None


def test_a_bad_file_does_not_hold_up_the_good_one_beside_it(stack: Stack, live: dict[str, str]) -> None:
    files = {"bad.csv": b"\x00" * 99, "good.csv": as_csv(renamed(sample_rows()[:20], "beside"))}
    (execution,) = stack.run_after(lambda: drop_as_one(stack, files))
    assert output(execution)["ledger"]["records"] == 20
    assert "bad.csv" in output(execution)["ledger"]["summary"]
    assert (stack.ledger()["bad.csv"], stack.ledger()["good.csv"]) == ("QUARANTINED", "INGESTED")


def test_data_that_arrives_during_a_run_starts_the_next(stack: Stack, live: dict[str, str]) -> None:
    def drop_during_a_run() -> None:
        before = len(stack.executions())
        stack.drop("early.csv", as_csv(renamed(sample_rows()[:20], "early")))
        wait_until(lambda: len(stack.executions()) > before)
        running = stack.executions()[-1]["executionArn"]
        wait_until(lambda: "DescribePipeline" in stack.entered(running))
        stack.drop("late.csv", as_csv(renamed(sample_rows()[:20], "late")))

    executions = stack.run_after(drop_during_a_run)
    assert [execution["status"] for execution in executions] == ["SUCCEEDED", "SUCCEEDED"]


def test_random_labels_are_rejected_below_the_floor(stack: Stack, live: dict[str, str]) -> None:
    rows = sample_rows()
    noise = random.Random(7)
    for row in rows:
        row["label"] = noise.choice(["neg", "pos"])
    before, registered = stack.ask(GOOD), len(stack.packages())
    (execution,) = stack.run_after(lambda: stack.drop("sample.csv", as_csv(rows)))
    assert stack.entered(execution["executionArn"])[-1] == "Rejected"
    assert "below the floor of 0.6" in output(execution)["outcome"]["cause"]
    assert len(stack.packages()) == registered
    assert stack.serving() == live
    assert stack.ask(GOOD) == before


def test_a_corrected_file_takes_the_bad_ones_place(stack: Stack, live: dict[str, str]) -> None:
    """Any bounds, so that the new model goes live: a record's latest version counts."""
    stack.deploy(MinImprovement="0", MaxPValue="1")
    try:
        (execution,) = stack.run_after(lambda: stack.drop("sample.csv", as_csv(sample_rows())))
        assert output(execution)["outcome"]["status"] == "DEPLOYED"
        assert stack.serving() != live
        assert stack.ask(GOOD)["label"] == "pos"
    finally:
        stack.deploy()
