"""The transformer image is only checked against selected clauses, since each training takes seconds."""

import json
import shutil
from pathlib import Path

import pytest

from localaws.container_check.bench import Bench
from localaws.container_check.checker import applicable
from localaws.container_check.clauses import Outcome
from localaws.container_check.folder import executables
from localaws.container_check.sample import load
from localaws.runtimes.images import Images
from localaws.runtimes.process import ProcessRuntime
from tests.local.containers import tiny_bert

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "containers"
CLAUSES = (
    "folder.requirements",
    "folder.dockerfile",
    "training.exit",
    "training.model",
    "training.metrics",
    "training.places",
    "training.input",
    "training.bad-data",
    "training.sigterm",
    "training.resume",
    "endpoint.ready",
    "endpoint.content-types",
    "endpoint.rows",
    "endpoint.concurrent",
    "endpoint.ping",
    "endpoint.model-untouched",
    "refusal.malformed",
    "shutdown.sigterm",
)
LONG_TRAINING = {"seed": "7", "epochs": "100", "learning_rate": "0.003", "patience": "0", "log_steps": "1"}


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The text classifiers' sample with a pretrained base model."""
    folder: Path = shutil.copytree(CONTAINERS / "sample", tmp_path / "sample")
    tiny_bert.write(folder / "pretrained")
    (folder / "interrupted.json").write_text(json.dumps(LONG_TRAINING))
    return folder


def test_the_transformer_meets_the_contract(sample: Path, tmp_path: Path) -> None:
    folder = CONTAINERS / "transformer"
    bench = Bench(
        # The environment takes a gigabyte, so tests and `make up` share it.
        ProcessRuntime(Images(CONTAINERS), ROOT / ".localaws" / "environments"),
        folder.name,
        load(sample),
        tmp_path / "work",
        folder=folder,
        commands=executables(folder),
    )
    try:
        results = [clause.judge(bench) for clause in applicable(bench) if clause.name in CLAUSES]
    finally:
        bench.close()
    assert {result.clause.name for result in results} == set(CLAUSES)
    assert [result for result in results if result.outcome in (Outcome.BROKEN, Outcome.UNCHECKED)] == []
