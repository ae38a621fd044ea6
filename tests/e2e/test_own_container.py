"""Bringing a container: a folder under containers/, named in one parameter."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.conftest import ROOT, SAMPLE, Stack, deployed

GOOD = "A wonderful, moving and beautifully acted film. I loved it."
FOLDERS = ("pipeline", "statemachine", "functions", "containers")
SMOOTHING = {"Name": "smoothing", "MinValue": "0.5", "MaxValue": "2", "ScalingType": "Logarithmic"}


def test_a_folder_that_is_named_trains_serves_and_once_it_says_what_is_tuned(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    own = root / "containers/own"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(root / "containers/template", own)
    with deployed(root, ModelContainer="own") as stack:
        (execution,) = stack.run_after(lambda: stack.drop("sample.csv", SAMPLE.read_bytes()))
        assert trained(stack, execution) == {"MaxTuningJobs": "1", "searches": 0}
        assert stack.entered(execution["executionArn"])[-1] == "Deployed"
        [container] = stack.packages()[0]["InferenceSpecification"]["Containers"]
        assert container["Image"].endswith("/retrain/own:latest")
        assert stack.ask(GOOD)["label"] == "pos"

        (own / "tuning.json").write_text(json.dumps({"ContinuousParameterRanges": [SMOOTHING]}))
        render = [sys.executable, "-m", "pipeline.definition"]
        subprocess.run(render, cwd=root, env=stack.environment, check=True, capture_output=True)
        stack.deploy(ModelContainer="own")
        assert trained(stack, stack.run({"force": True})) == {"MaxTuningJobs": "2", "searches": 1}
        job = stack.packages()[0]["CustomerMetadataProperties"]["TrainingJob"]
        found = stack.client("sagemaker").describe_training_job(TrainingJobName=job)["HyperParameters"]
        assert 0.5 <= float(found["smoothing"]) <= 2


def trained(stack: Stack, execution: dict[str, Any]) -> dict[str, Any]:
    """How an execution trained."""
    assert execution["status"] == "SUCCEEDED", execution
    searches = stack.client("sagemaker").list_hyper_parameter_tuning_jobs()[
        "HyperParameterTuningJobSummaries"
    ]
    origin = stack.packages()[0]["CustomerMetadataProperties"]
    return {"MaxTuningJobs": origin["MaxTuningJobs"], "searches": len(searches)}
