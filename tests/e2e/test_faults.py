"""What goes wrong on the way: a process, a machine, a permission. What was live stays live."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from samcli.yamlhelper import yaml_parse

from localaws.testing import wait_until
from tests.e2e.conftest import ROOT, RUN_SECONDS, Stack

ONE_TRAINING = {"force": True, "maxTuningJobs": 1}


def training_process(stack: Stack) -> psutil.Process | None:
    """The process that trains for this stack, and not for another laptop's AWS on this machine; suspended."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        trains = any(part.endswith("containers/linear/train") for part in process.info["cmdline"] or [])
        if trains and (process.info["environ"] or {}).get("AWS_ENDPOINT_URL") == stack.laptop.endpoint_url:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                while process.status() != psutil.STATUS_STOPPED:
                    time.sleep(0.01)
                return process
    return None


def start_training(stack: Stack, tries: int = 5) -> tuple[str, psutil.Process]:
    """An execution, and the process of its training, suspended; if that ended unseen, those of another."""
    arn = stack.start(ONE_TRAINING)
    describe = stack.client("stepfunctions").describe_execution

    def seen() -> psutil.Process | bool:
        return training_process(stack) or describe(executionArn=arn)["status"] != "RUNNING"

    process = wait_until(seen, RUN_SECONDS)
    if process is not True:
        return arn, process
    assert tries > 1, "all trainings ended unseen"
    return start_training(stack, tries - 1)


def test_a_killed_training_fails_with_its_step_and_frees_the_lock(stack: Stack, live: dict[str, str]) -> None:
    arn, process = start_training(stack)
    process.kill()
    execution = stack.ended(arn)
    assert execution["status"] == "FAILED"
    assert execution["error"] == "TrainModel.Failed"
    assert "TrainModel" in execution["cause"]
    assert "137" in execution["cause"]
    assert "RetryPipeline" not in stack.entered(arn), "what ran out of memory would do so again"
    jobs = stack.client("sagemaker").list_training_jobs(StatusEquals="Failed", SortOrder="Descending")[
        "TrainingJobSummaries"
    ]
    job = stack.client("sagemaker").describe_training_job(TrainingJobName=jobs[0]["TrainingJobName"])
    assert "exit code: 137" in job["FailureReason"]
    assert stack.serving() == live
    assert stack.lock() is None


def test_a_fault_of_the_platform_is_tried_once_more(stack: Stack, live: dict[str, str]) -> None:
    """A folder that the platform made is gone when it collects the outputs; the second try finds one."""
    arn, process = start_training(stack)
    base_dir = Path(process.environ()["SAGEMAKER_BASE_DIR"])
    (base_dir / "output" / "data").rmdir()
    process.resume()
    execution = stack.ended(arn)
    assert "RetryPipeline" in stack.entered(arn), execution.get("cause")
    assert execution["status"] == "SUCCEEDED", execution
    steps = stack.steps(execution)
    assert steps["TrainModel"]["StepStatus"] == "Succeeded"
    assert stack.serving() == live


def test_a_missing_permission_fails_the_run_with_its_action(stack: Stack, live: dict[str, str]) -> None:
    """The template without one statement of a role: JudgeModel may not read the statistics."""
    changed = ROOT / "template-without-a-statement.yaml"
    changed.write_text(without_action(ROOT / "template.yaml", "JudgeModelRole", "s3:GetObject"))
    try:
        stack.deploy(changed)
        execution = stack.run(ONE_TRAINING)
        assert execution["status"] == "FAILED"
        assert "AccessDenied" in execution["cause"]
        assert "s3:GetObject" in execution["cause"]
        assert "JudgeModel" in execution["cause"]
        assert stack.serving() == live
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
