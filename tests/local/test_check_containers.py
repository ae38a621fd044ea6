"""The containers of this repository meet the contract of the container check."""

import re
from pathlib import Path

import pytest

from localaws.container_check import folder as folder_clauses
from localaws.container_check.checker import SERVING, TRAINING
from localaws.container_check.sample import load
from localaws_tests.containers import check_container

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "containers"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workdir")


@pytest.mark.parametrize("name", ["linear", "template"])
def test_the_shipped_containers_meet_the_contract(name: str, workdir: Path) -> None:
    done = check_container(CONTAINERS / name, workdir=workdir)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name} meets the contract" in done.stdout


def test_the_shipped_processing_commands_fail_without_their_input(workdir: Path) -> None:
    done = check_container(CONTAINERS / "processing", workdir=workdir)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("compare", "create_dataset", "evaluate", "ingest"):
        assert f"`{name}` fails without its input" in done.stdout


def test_the_documentation_names_every_clause_and_no_other() -> None:
    named = re.findall(r"\*\*\[([a-z.-]+)\]\*\*", (CONTAINERS / "README.md").read_text())
    assert sorted(named) == sorted(clause.name for clause in (*folder_clauses.CLAUSES, *TRAINING, *SERVING))


def test_the_shared_sample_of_the_text_classifiers() -> None:
    sample = load(ROOT / "containers" / "sample")
    assert set(sample.channels) == {"train", "validation"}
    assert set(sample.requests) == {"application/jsonlines", "application/json", "text/csv"}
    assert sample.line_type == "application/jsonlines"
    assert len(sample.rows()) == 8
    assert sample.interrupted == sample.hyperparameters == {"seed": "7"}
    assert {content_type for content_type, _ in sample.refused.values()} == set(sample.requests)
