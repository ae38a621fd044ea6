"""What `make deploy` and `make deploy-local` tell sam, by sam's own reading of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from samcli.cli.types import CfnParameterOverridesType

import samconfig

ROOT = Path(__file__).parents[3]
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


def deploy(target: str, folder: Path, python: str) -> tuple[int, list[str]]:
    """What make's recipe exits with and what it asks of sam, where python is another script."""
    command = ["make", "--dry-run", "--no-print-directory", "--old-file", "install", target]
    recipe = subprocess.run(
        [*command, "PARAMETERS=MinF1=0.9"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    (folder / ".localaws").mkdir()
    asked = folder / "asked"
    for name, script in (("python", python), ("sam", f"printf '%s\\n' \"$@\" >{asked}")):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-o", "pipefail", "-c", recipe], cwd=folder, env=path, capture_output=True)
    return done.returncode, asked.read_text().splitlines() if asked.exists() else []


@pytest.mark.parametrize(("target", "environment"), [("deploy", "default"), ("deploy-local", "local")])
def test_make_hands_them_to_sam_in_one_word(target: str, environment: str, tmp_path: Path) -> None:
    code, asked = deploy(target, tmp_path, 'echo "$*"')
    assert code == 0
    assert asked[-2:] == ["--parameter-overrides", f"samconfig.py {environment} MinF1=0.9"]


@pytest.mark.parametrize("target", ["deploy", "deploy-local"])
def test_without_them_nothing_is_deployed(target: str, tmp_path: Path) -> None:
    """The template's own defaults are not what samconfig.toml says."""
    code, asked = deploy(target, tmp_path, '[ "$1" != samconfig.py ]')
    assert code != 0
    assert not asked


TEMPLATE = (ROOT / "template.yaml").read_text()


@pytest.mark.parametrize("name", ["Retrain", "1st", "re_train", "retrain-", "", "é", "a" * 42, "a b"])
def test_a_stack_name_that_fails_later_is_refused_at_once(name: str) -> None:
    fault = samconfig.find_fault(name, [], TEMPLATE)
    assert fault is not None
    assert "1 to 41 small letters" in fault


@pytest.mark.parametrize("name", [None, "retrain", "reviews-2", "a", "a" * 41])
def test_other_stack_names_are_taken(name: str | None) -> None:
    assert (
        samconfig.find_fault(name, ["MinF1=0.9", "NotificationEmail=", "CodeVersion=a=b"], TEMPLATE) is None
    )


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("MinF2=0.9", "no parameter MinF2. Did you mean MinF1?"),
        ("minaccuracy=0.9", "Did you mean MinAccuracy?"),
        ("MaxTuningJob=1", "Did you mean MaxTuningJobs?"),
        ("Qqqqqqq=1", "no parameter Qqqqqqq."),
        ("MinF1", "MinF1 has no value"),
    ],
)
def test_a_misspelt_parameter_is_refused_with_the_nearest_one(override: str, hint: str) -> None:
    assert hint in str(samconfig.find_fault("retrain", [override], TEMPLATE))


def test_nothing_is_printed_for_a_misspelt_parameter() -> None:
    command = [sys.executable, str(ROOT / "samconfig.py"), "local", "MinFl=0.9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Did you mean MinF1?" in done.stderr
