"""Print the parameters for `sam deploy`: samconfig.toml's, CodeVersion, and those of the command line.

sam takes parameters either from its command line or from samconfig.toml, not some from each.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent


def main() -> None:
    """Print the parameters of the environment that the command line names, and those that follow it."""
    environment, *overrides = sys.argv[1:] or ["default"]
    print(" ".join([*parameters(ROOT, environment), *overrides]))


def parameters(folder: Path, environment: str) -> list[str]:
    """Return the parameters of a samconfig.toml, and CodeVersion last: of duplicates sam takes the last.

    Args:
        folder: the folder of samconfig.toml.
        environment: its table, such as local.
    """
    config = tomllib.loads((folder / "samconfig.toml").read_text("utf-8"))
    configured = (
        config.get(environment, {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
    )
    version = code_version(folder)
    overrides = [configured] if isinstance(configured, str) else configured
    return [*overrides, *([f"CodeVersion={version}"] if version else [])]


def code_version(folder: Path) -> str:
    """Return a git checkout's commit, with -dirty if a file differs from it, or nothing without git."""
    # Not the checkout of a parent folder.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    main()
