"""The parameters that `make deploy` and `make deploy-local` pass to sam, as sam parses them."""

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
parameter_overrides = 'SettleSeconds=2 Note="two words" CodeVersion=earlier'

[listed.deploy.parameters]
parameter_overrides = ["SettleSeconds=2", "Note=word"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout with one commit."""
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


def parsed(folder: Path, environment: str) -> dict[str, str]:
    """Return the parameters as sam parses them."""
    line = " ".join(samconfig.parameters(folder, environment))
    found: dict[str, str] = CfnParameterOverridesType().convert((line,), None, None)
    return found


def test_the_commit_is_added_to_the_parameters_of_samconfig(folder: Path) -> None:
    commit = git(folder, "rev-parse", "--short", "HEAD")
    assert parsed(folder, "local") == {"SettleSeconds": "2", "Note": "two words", "CodeVersion": commit}
    assert parsed(folder, "listed") == {"SettleSeconds": "2", "Note": "word", "CodeVersion": commit}
    assert samconfig.parameters(folder, "default") == [f"CodeVersion={commit}"]


def test_the_version_marks_changed_files_and_ignores_tags(folder: Path) -> None:
    commit = git(folder, "rev-parse", "--short", "HEAD")
    git(folder, "tag", "v1")
    assert samconfig.code_version(folder) == commit
    (folder / "samconfig.toml").write_text(CONFIG + "# changed")
    assert samconfig.code_version(folder) == f"{commit}-dirty"


def test_a_subfolder_of_a_checkout_has_no_version(folder: Path) -> None:
    copy = folder / "copy"
    copy.mkdir()
    shutil.copy(folder / "samconfig.toml", copy)
    assert samconfig.code_version(copy) == ""
    assert samconfig.parameters(copy, "default") == []
    assert parsed(copy, "local")["CodeVersion"] == "earlier"


def test_without_git_there_is_no_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert samconfig.code_version(folder) == ""


def test_the_parameters_of_this_repository_are_kept() -> None:
    assert parsed(ROOT, "local") == parsed(ROOT, "local") | {"SettleSeconds": "2"}


def deploy(target: str, folder: Path, python: str) -> tuple[int, list[str]]:
    """Run a make target's recipe with fake python and sam; return the exit code and sam's arguments."""
    command = ["make", "--dry-run", "--no-print-directory", "--old-file", "install", target]
    recipe = subprocess.run(
        [*command, "PARAMETERS=MinF1=0.9"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    (folder / ".localaws").mkdir()
    log = folder / "arguments"
    for name, script in (("python", python), ("sam", f"printf '%s\\n' \"$@\" >{log}")):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-o", "pipefail", "-c", recipe], cwd=folder, env=path, capture_output=True)
    return done.returncode, log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize(("target", "environment"), [("deploy", "default"), ("deploy-local", "local")])
def test_make_passes_the_parameters_as_one_argument(target: str, environment: str, tmp_path: Path) -> None:
    code, arguments = deploy(target, tmp_path, 'echo "$*"')
    assert code == 0
    assert arguments[-2:] == ["--parameter-overrides", f"samconfig.py {environment} MinF1=0.9"]


@pytest.mark.parametrize("target", ["deploy", "deploy-local"])
def test_without_the_parameters_nothing_is_deployed(target: str, tmp_path: Path) -> None:
    """The template's defaults differ from samconfig.toml."""
    code, arguments = deploy(target, tmp_path, '[ "$1" != samconfig.py ]')
    assert code != 0
    assert not arguments


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
