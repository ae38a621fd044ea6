"""The whole loop: what is dropped is trained, judged and served; what is bad changes nothing."""

import csv
import io
import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from samcli.yamlhelper import yaml_parse

from localaws.sagemaker.threads import at_once
from tests.e2e.conftest import ROOT, SAMPLE, Stack
from tests.local.conftest import wait_until

GOOD = "A wonderful, moving and beautifully acted film. I loved it."
BAD = "A terrible, boring and badly acted film. I hated it."


def sample_rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(SAMPLE.read_text())))


def as_csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@pytest.fixture(scope="module")
def live(stack: Stack) -> dict[str, str]:
    """Two live endpoints, from the first file that is dropped."""
    (execution,) = stack.run_after(lambda: stack.drop("sample.csv", SAMPLE.read_bytes()))
    assert execution["status"] == "SUCCEEDED", execution
    assert stack.entered(execution["executionArn"])[-1] == "Deployed"
    serving = stack.serving()
    assert len(serving) == 2
    return serving


def test_a_dropped_file_ends_in_two_endpoints_that_answer(stack: Stack, live: dict[str, str]) -> None:
    labels = {row["label"] for row in sample_rows()}
    for text, expected in ((GOOD, "pos"), (BAD, "neg")):
        answer = stack.ask(text)
        assert answer["label"] == expected
        assert set(answer["probabilities"]) == labels
        assert stack.ask_later(text) == answer
    assert stack.lock() is None


def test_nothing_new_changes_nothing(stack: Stack, live: dict[str, str]) -> None:
    arn = stack.start({})
    assert stack.ended(arn)["status"] == "SUCCEEDED"
    assert stack.entered(arn)[-1] == "NothingNew"
    assert stack.serving() == live
    assert stack.lock() is None


def test_random_labels_are_rejected_and_what_was_live_stays_live(stack: Stack, live: dict[str, str]) -> None:
    rows = sample_rows()
    noise = random.Random(7)
    for row in rows:
        row["label"] = noise.choice(["neg", "pos"])
    before = stack.ask(GOOD)
    (execution,) = stack.run_after(lambda: stack.drop("sample.csv", as_csv(rows)))
    assert execution["status"] == "SUCCEEDED", execution
    assert stack.entered(execution["executionArn"])[-1] == "Rejected"

    group = stack.output("ModelPackageGroupName")
    sagemaker = stack.client("sagemaker")
    newest = sagemaker.list_model_packages(ModelPackageGroupName=group, SortOrder="Descending")[
        "ModelPackageSummaryList"
    ][0]
    assert newest["ModelApprovalStatus"] == "Rejected"
    package = sagemaker.describe_model_package(ModelPackageName=newest["ModelPackageArn"])
    assert "accuracy" in package["ApprovalDescription"]
    assert stack.serving() == live
    assert stack.ask(GOOD) == before


UNREADABLE = {
    "noise.csv": random.Random(1).randbytes(5_000),
    "empty.csv": b"",
    "columns.csv": b"name,value\na,b\n",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_file_is_named_and_a_good_one_afterwards_succeeds(
    stack: Stack, live: dict[str, str], name: str
) -> None:
    serving = stack.serving()
    (failed,) = stack.run_after(lambda: stack.drop(name, UNREADABLE[name]))
    assert failed["status"] == "FAILED"
    assert failed["error"] == "PrepareData.Failed"
    assert f"raw/{name}: " in failed["cause"]
    assert stack.serving() == serving
    assert stack.lock() is None

    changed = SAMPLE.read_bytes() + b"\n" * (1 + list(UNREADABLE).index(name))
    (succeeded,) = stack.run_after(lambda: stack.drop("sample.csv", changed))
    assert stack.entered(succeeded["executionArn"])[-1] == "Deployed", succeeded
    assert stack.ask(GOOD)["label"] == "pos"


def test_two_uploads_at_once_are_one_run(stack: Stack, live: dict[str, str]) -> None:
    rows = sample_rows()

    halves = {"half-1.csv": as_csv(rows[::2]), "half-2.csv": as_csv(rows[1::2])}

    def drop_two() -> None:
        at_once([partial(stack.drop, name, half) for name, half in halves.items()])

    (execution,) = stack.run_after(drop_two)
    assert execution["status"] == "SUCCEEDED", execution


def test_data_that_arrives_during_a_run_starts_the_next(stack: Stack, live: dict[str, str]) -> None:
    rows = sample_rows()

    def drop_during_a_run() -> None:
        before = len(stack.executions())
        stack.drop("early.csv", as_csv(rows))
        wait_until(lambda: len(stack.executions()) > before)
        running = stack.executions()[-1]["executionArn"]
        wait_until(lambda: "DescribePipeline" in stack.entered(running), 60)
        stack.drop("late.csv", as_csv(rows))

    executions = stack.run_after(drop_during_a_run)
    assert [execution["status"] for execution in executions] == ["SUCCEEDED", "SUCCEEDED"]


def training_process(stack: Stack) -> psutil.Process | None:
    """The process that trains for this stack, and not for another laptop's AWS on this machine."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        trains = any(part.endswith("containers/linear/train") for part in process.info["cmdline"] or [])
        if trains and (process.info["environ"] or {}).get("AWS_ENDPOINT_URL") == stack.endpoint_url:
            return process
    return None


def test_a_killed_training_fails_with_its_step_and_frees_the_lock(stack: Stack, live: dict[str, str]) -> None:
    serving = stack.serving()
    arn = stack.start({"force": True})
    process: psutil.Process = wait_until(lambda: training_process(stack))
    process.kill()
    execution = stack.ended(arn)
    assert execution["status"] == "FAILED"
    assert execution["error"] == "TrainModel.Failed"
    assert "TrainModel" in execution["cause"]
    assert "137" in execution["cause"]
    jobs = stack.client("sagemaker").list_training_jobs(StatusEquals="Failed", SortOrder="Descending")[
        "TrainingJobSummaries"
    ]
    job = stack.client("sagemaker").describe_training_job(TrainingJobName=jobs[0]["TrainingJobName"])
    assert "exit code: 137" in job["FailureReason"]
    assert stack.serving() == serving
    assert stack.lock() is None


def test_a_missing_permission_fails_the_run_with_its_action(stack: Stack, live: dict[str, str]) -> None:
    """The template without one statement of a role: EvaluateModel may not read the statistics."""
    serving = stack.serving()
    changed = ROOT / "template-without-a-statement.yaml"
    changed.write_text(without_action(ROOT / "template.yaml", "EvaluateModelRole", "s3:GetObject"))
    try:
        stack.deploy(changed)
        execution = stack.ended(stack.start({"force": True}))
        assert execution["status"] == "FAILED"
        assert "AccessDenied" in execution["cause"]
        assert "s3:GetObject" in execution["cause"]
        assert "EvaluateModel" in execution["cause"]
        assert stack.serving() == serving
        assert stack.lock() is None
    finally:
        changed.unlink()
        stack.deploy()


def without_action(template: Path, role: str, action: str) -> str:
    """The template's text without a role's statements on one action."""
    document = yaml_parse(template.read_text())
    removed = 0
    for policy in document["Resources"][role]["Properties"]["Policies"]:
        statements = policy["PolicyDocument"]["Statement"]
        kept = [statement for statement in statements if action not in _actions(statement)]
        removed += len(statements) - len(kept)
        policy["PolicyDocument"]["Statement"] = kept
    assert removed, f"{role} has no statement on {action}"
    return json.dumps(document)


def _actions(statement: dict[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else list(actions)
