"""What `make deploy` and `make deploy-local` tell sam, by sam's own reading of it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from samcli.cli.types import CfnParameterOverridesType

import samconfig

ROOT = Path(__file__).parents[2]
CONFIG = """
[local.deploy.parameters]
parameter_overrides = 'SettleSeconds=2 Note="two words" CodeVersion=of-a-run-before'

[listed.deploy.parameters]
parameter_overrides = ["SettleSeconds=2", "Note=word"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout of one commit."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "samconfig.toml").write_text(CONFIG)
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "All")
    return checkout


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def told(folder: Path, environment: str) -> dict[str, str]:
    """What sam makes of it."""
    line = " ".join(samconfig.parameters(folder, environment))
    found: dict[str, str] = CfnParameterOverridesType().convert((line,), None, None)
    return found


def test_the_commit_comes_to_what_samconfig_says(folder: Path) -> None:
    commit = git(folder, "rev-parse", "--short", "HEAD")
    assert told(folder, "local") == {"SettleSeconds": "2", "Note": "two words", "CodeVersion": commit}
    assert told(folder, "listed") == {"SettleSeconds": "2", "Note": "word", "CodeVersion": commit}
    assert samconfig.parameters(folder, "default") == [f"CodeVersion={commit}"]


def test_a_changed_file_makes_it_dirty_and_a_tag_does_not_name_it(folder: Path) -> None:
    commit = git(folder, "rev-parse", "--short", "HEAD")
    git(folder, "tag", "v1")
    assert samconfig.code_version(folder) == commit
    (folder / "samconfig.toml").write_text(CONFIG + "# changed")
    assert samconfig.code_version(folder) == f"{commit}-dirty"


def test_a_folder_that_only_lies_in_a_checkout_has_no_version(folder: Path) -> None:
    copy = folder / "copy"
    copy.mkdir()
    shutil.copy(folder / "samconfig.toml", copy)
    assert samconfig.code_version(copy) == ""
    assert samconfig.parameters(copy, "default") == []
    assert told(copy, "local")["CodeVersion"] == "of-a-run-before"


def test_no_git_is_no_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert samconfig.code_version(folder) == ""


def test_the_products_own_parameters_are_kept() -> None:
    assert told(ROOT, "local") == told(ROOT, "local") | {"SettleSeconds": "2"}
    makefile = (ROOT / "Makefile").read_text()
    assert '--parameter-overrides "$$(python samconfig.py local)"' in makefile
