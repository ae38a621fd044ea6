"""The SageMaker Python SDK and boto3 with nothing but the standard variables set."""

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from localaws.testing import ACCOUNT, REGION, Laptop, allow

SCRIPT = Path(__file__).with_name("drive_sdk.py")
IMAGES_PREFIX = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tests"
SECONDS = 900
NOWHERE = "http://127.0.0.1:9"

Report = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def run(laptop: Laptop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, str]:
    """What the script reported, and what the SDK printed meanwhile."""
    home = tmp_path_factory.mktemp("sdk")
    role = laptop.role(
        f"sdk-{uuid.uuid4().hex[:8]}", allow("s3:*"), allow("sagemaker:*"), allow("iam:PassRole")
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),  # no configuration of this machine's user
        "AWS_ENDPOINT_URL": laptop.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        # Whatever does not go to AWS_ENDPOINT_URL goes astray, such as what the SDK tells its makers.
        "HTTPS_PROXY": NOWHERE,
    }
    report = home / "report.json"
    process = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), role, IMAGES_PREFIX, str(report)],
        env=environment,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    return json.loads(report.read_text()), process.stdout


def part(run: tuple[Report, str], name: str) -> dict[str, Any]:
    answer = run[0][name]
    assert "failed" not in answer, answer["failed"]
    return answer


def test_a_processor_runs(run: tuple[Report, str]) -> None:
    assert part(run, "processing") == {"status": "Completed", "output": "ONE\nTWO\nTHREE\n"}


def test_an_estimator_fits_and_shows_the_log(run: tuple[Report, str], laptop: Laptop) -> None:
    answer = part(run, "training")
    assert answer["model"].endswith(f"{answer['name']}/output/model.tar.gz")
    assert re.search(r"lines=3;", run[1])
    assert "Training job completed" in run[1]


def test_a_transformer_transforms(run: tuple[Report, str]) -> None:
    assert part(run, "transform")["output"] == "3:one\n3:two\n3:three\n"


def test_a_tuner_fits_and_tells(run: tuple[Report, str]) -> None:
    answer = part(run, "tuning")
    assert answer["status"] == "Completed"
    assert answer["ranges"] == ["colour", "depth", "x"]
    rows = answer["rows"]
    assert len(rows) == 6
    for row in rows:
        assert row["FinalObjectiveValue"] == pytest.approx(1 - (row["x"] - 3) ** 2)
        assert row["depth"] in range(1, 9)
        assert row["colour"].strip('"') in ("red", "blue")
        assert row["TrainingJobStatus"] == "Completed"
        assert row["TrainingElapsedTimeSeconds"] > 0
    best = max(rows, key=lambda row: float(row["FinalObjectiveValue"]))
    assert answer["best"] == best["TrainingJobName"]
    assert f"/{answer['best']}/output/model.tar.gz" in answer["model"]


def test_spot_instances_are_taken_away_and_the_jobs_go_on(run: tuple[Report, str]) -> None:
    answer = part(run, "spot")
    assert answer["statuses"][3:5] == ["Interrupted", "Starting"]
    assert answer["seconds"] > 5  # which the first run took alone
    assert f"Training seconds: {answer['seconds']}" in run[1]
    assert answer["counts"] == {"14.0": 14, "16.0": 16}
    for starts in (answer["starts"], *answer["trials"]):  # one checkpoint each, below the same URI
        assert starts == [0, 7]
    assert answer["left"] == []


def test_a_pipeline_is_started_waited_for_and_listed(run: tuple[Report, str]) -> None:
    assert part(run, "pipeline") == {
        "status": "Succeeded",
        "steps": {"Process": "Succeeded", "Train": "Succeeded"},
    }


def test_boto3_tunes(run: tuple[Report, str]) -> None:
    assert part(run, "boto3") == {"status": "Completed", "best": {"x": "1"}, "by value": ["1", "2", "3"]}
