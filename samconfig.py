"""Print the parameters for `sam deploy`: those of samconfig.toml, CodeVersion, and those of the command line.

sam does not merge parameters of its command line with those of samconfig.toml.
"""

import os
import re
import subprocess
import sys
import tomllib
from difflib import get_close_matches
from pathlib import Path

ROOT = Path(__file__).parent
# SageMaker writes names in ARNs in lower case and ends them at 63 characters; the stack's suffixes take 22.
STACK_NAME = re.compile(r"[a-z]([a-z0-9-]{0,39}[a-z0-9])?", re.ASCII)


def main() -> None:
    """Print the parameters of the environment in the first argument, followed by the other arguments."""
    environment, *overrides = sys.argv[1:] or ["default"]
    if fault := find_fault(os.environ.get("STACK"), overrides, (ROOT / "template.yaml").read_text("utf-8")):
        sys.exit(fault)
    print(" ".join([*parameters(ROOT, environment), *overrides]))


def find_fault(stack: str | None, overrides: list[str], template: str) -> str | None:
    """Return what CloudFormation or SageMaker would refuse, perhaps only after minutes; None if nothing.

    Args:
        stack: the stack's name, or None if it is not known.
        overrides: parameters such as MinF1=0.9.
        template: the template's text.
    """
    if stack is not None and not STACK_NAME.fullmatch(stack):
        return (
            f"STACK={stack}: SageMaker's names allow a stack name of 1 to 41 small letters, digits and "
            "hyphens that begins with a letter and does not end with a hyphen."
        )
    section = re.search(r"^Parameters:\n((?:[ #].*\n|\n)*)", template, re.M)
    names = re.findall(r"^  (\w+):", section[1] if section else "", re.M)
    for override in overrides:
        name, separator, _ = override.partition("=")
        if not separator:
            return f"PARAMETERS: {override} has no value; write Name=value."
        if name not in names:
            near = get_close_matches(name.lower(), {known.lower(): known for known in names}, n=1, cutoff=0.5)
            hint = "".join(f" Did you mean {known}?" for known in names if known.lower() in near)
            return f"PARAMETERS: template.yaml has no parameter {name}.{hint}"
    return None


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
