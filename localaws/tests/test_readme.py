"""README.md's example works in an environment in which nothing but localaws is installed."""

import os
import re
import shlex
import subprocess
import sys
import venv
from importlib.metadata import distributions
from pathlib import Path

import pytest
from uv import find_uv_bin

from localaws.testing import free_port

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()
INSTALL_SECONDS = 600
RUN_SECONDS = 600


def files() -> dict[str, str]:
    """The files of the example, by their paths."""
    blocks = re.findall(r'^```python title="([^"]+)"\n(.*?)^```', README, re.MULTILINE | re.DOTALL)
    return dict(blocks)


@pytest.fixture(scope="module")
def bin_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with localaws.

    What it requires is installed in the versions of this environment: a new release breaks no test.
    """
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder / "venv", symlinks=True)
    constraints = folder / "constraints.txt"
    names = {item.name: item.version for item in distributions() if item.name != "localaws"}
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in names.items()))
    install = [find_uv_bin(), "pip", "install", "--quiet", str(PROJECT), "--constraints", str(constraints)]
    environment = os.environ | {"VIRTUAL_ENV": str(folder / "venv")}
    subprocess.run(install, env=environment, check=True, timeout=INSTALL_SECONDS)
    return folder / "venv" / "bin"


def test_the_example_trains_and_serves(bin_dir: Path, tmp_path: Path) -> None:
    for name, text in files().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    environment = kept | {"PATH": f"{bin_dir}:{os.environ['PATH']}"}
    port = f"--port={free_port()}"
    script = f"""
        set -e
        localaws up {port}
        trap 'localaws down {port}' EXIT
        eval "$(localaws env {port})"
        python try.py
    """
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    promised = re.search(r"python try.py +# prints: (.*)", README)
    assert promised is not None
    started, printed, stopped = done.stdout.splitlines()
    assert started.startswith("localaws is up: AWS_ENDPOINT_URL=")
    assert printed == promised[1]
    assert stopped == "localaws is down"


def test_every_command_and_option_is_in_the_readme() -> None:
    def help_of(*words: str) -> str:
        command = [sys.executable, "-m", "localaws", *words, "--help"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    commands = re.findall(r"^    ([a-z-]+)(?: |$)", help_of(), re.MULTILINE)
    assert {"up", "down", "status", "serve", "env", "check-container"} <= set(commands)
    options = set(re.findall(r"--[a-z-]+", help_of("up"))) - {"--help"}
    table = README.partition("## Commands")[2].partition("\n## ")[0]
    named = {word for cell in re.findall(r"`([^`]+)`", table) for word in shlex.split(cell)}
    assert set(commands) <= named
    assert options <= named


def test_the_version_is_the_distribution_s() -> None:
    done = subprocess.run([sys.executable, "-m", "localaws", "--version"], capture_output=True, text=True)
    assert re.fullmatch(r"localaws \d+\.\d+\.\d+\n", done.stdout)
