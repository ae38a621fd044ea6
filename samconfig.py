"""Print the parameters for `sam deploy`: those of samconfig.toml, CodeVersion, and those of the command line.

sam does not merge parameters of its command line with those of samconfig.toml.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent


def main() -> None:
    """Print the parameters of the environment in the first argument, followed by the other arguments."""
    environment, *overrides = sys.argv[1:] or ["default"]
    print(" ".join([*parameters(ROOT, environment), *overrides]))


def parameters(folder: Path, environment: str) -> list[str]:
    """Return the parameters of a samconfig.toml followed by CodeVersion; sam uses the last of duplicates.

    Args:
        folder: the folder of samconfig.toml.
        environment: a table of the file, such as local.
    """
    config = tomllib.loads((folder / "samconfig.toml").read_text("utf-8"))
    configured = (
        config.get(environment, {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
    )
    version = code_version(folder)
    overrides = [configured] if isinstance(configured, str) else configured
    return [*overrides, *([f"CodeVersion={version}"] if version else [])]


def code_version(folder: Path) -> str:
    """Return the folder's git commit, with -dirty after local changes; empty if it is not a git checkout."""
    # Do not use the checkout of a parent folder.
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
