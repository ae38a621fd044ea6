"""The commands of docs/usage.md and docs/troubleshooting.md, as a user types them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SAMPLE, Stack
from tests.unit.documentation.commands import ROOT, blocks

JSON_BLOCK = re.compile(r"^```json\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run(stack: Stack, folder: Path, script: str, **words: str) -> str:
    """Return what a block of a page prints, its words in capitals replaced."""
    for word, value in words.items():
        script = re.sub(rf"\b{word}\b", value, script)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = stack.environment | {"PATH": path, "AWS_PAGER": ""}
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def keys(document: Any) -> Any:
    """Return the keys of a document, of all its objects."""
    if isinstance(document, dict):
        return {name: keys(value) for name, value in document.items()}
    return keys(document[0]) if isinstance(document, list) and document else None


def contains(document: Any, wanted: Any) -> bool:
    """Return whether a document has these keys."""
    if isinstance(wanted, dict):
        return isinstance(document, dict) and all(
            name in document and contains(document[name], value) for name, value in wanted.items()
        )
    return True


@pytest.mark.usefixtures("first_model")
def test_the_commands_of_usage_and_troubleshooting_work(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_bytes(SAMPLE.read_bytes())
    copy, forget, start, invoke = blocks(ROOT / "docs/usage.md")
    machine, bucket = stack.output("StateMachineArn"), stack.output("DataBucketName")
    (dropped,) = stack.run_after(lambda: run(stack, tmp_path, copy, BUCKET=bucket))
    assert json.loads(dropped["output"])["plan"]["newObjects"] == 1
    started: dict[str, str] = json.loads(run(stack, tmp_path, start, ARN=machine))
    execution = stack.ended(started["executionArn"])
    (documented,) = JSON_BLOCK.findall((ROOT / "docs/usage.md").read_text("utf-8"))
    output = json.loads(execution["output"])
    wanted = keys(json.loads(documented))
    assert contains(keys(output), wanted), (output, wanted)
    forgetting = run(stack, tmp_path, forget.replace('"raw/a.csv"', ""), ARN=machine)
    assert stack.ended(json.loads(forgetting)["executionArn"])["status"] == "SUCCEEDED"
    answer = run(stack, tmp_path, invoke)
    assert '"label"' in answer
    (script,) = blocks(ROOT / "docs/troubleshooting.md")
    run(stack, tmp_path, script, ARN=machine, EXECUTION=started["executionArn"])
