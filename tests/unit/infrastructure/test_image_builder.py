"""The commands of the template's ImageBuilder, run as CodeBuild runs them but for Docker and AWS."""

import json
import os
import re
import runpy
import subprocess
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.template import read_template

ROOT = Path(__file__).parents[3]
CONTAINERS = ROOT / "containers"
PROJECT = read_template()["Resources"]["ImageBuilder"]["Properties"]
BUILDSPEC: dict[str, Any] = yaml.safe_load(PROJECT["Source"]["BuildSpec"])
[COMMANDS] = BUILDSPEC["phases"]["build"]["commands"]
SOURCES = runpy.run_path(str(CONTAINERS / "tooling/image_sources.py"))
IMAGES: list[str] = SOURCES["image_folders"](CONTAINERS)
LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:retrain-containers:7"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"

# Each writes down its call; docker also what it is given to build.
AWS = """#!/usr/bin/env python3
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(["aws", *sys.argv[1:]]) + "\\n")
print("a password" if "ecr" in sys.argv else os.environ["LOCATION"])
"""
DOCKER = """#!/usr/bin/env python3
import json, os, pathlib, sys
call = ["docker", *sys.argv[1:]]
if sys.argv[1] == "login":
    call.append(sys.stdin.read().strip())
else:
    folder = pathlib.Path(sys.argv[-1])
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    call.append({str(path.relative_to(folder)): os.access(path, os.X_OK) for path in files})
    assert pathlib.Path(sys.argv[sys.argv.index("--file") + 1]).is_file()
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(call) + "\\n")
sys.exit(any(os.environ.get("BROKEN", "none") in word for word in sys.argv))
"""


def parts(image: str) -> list[str]:
    """What an image's build gets of containers/, its own folder first."""
    tops = {path.relative_to(CONTAINERS).parts[0] for path in SOURCES["files"](CONTAINERS, image)}
    return [image, *sorted(tops - {image})]


def word(image: str) -> str:
    return f"{REGISTRY}/retrain-{image}:{image}-0123456789abcdef={','.join(parts(image))}"


Run = Callable[..., tuple[int, list[list[Any]]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the commands in an empty folder, with the layer as `sam deploy` makes it; answers all calls."""
    fakes, work, calls = tmp_path / "bin", tmp_path / "work", tmp_path / "calls"
    for folder in (fakes, work):
        folder.mkdir()
    for name, content in (("aws", AWS), ("docker", DOCKER)):
        (fakes / name).write_text(content)
        (fakes / name).chmod(0o755)
    from samcli.lib.package.utils import make_zip_with_lambda_permissions

    layer = make_zip_with_lambda_permissions(str(tmp_path / "layer"), str(CONTAINERS))

    def execute(*images: str, **environment: str) -> tuple[int, list[list[Any]]]:
        done = subprocess.run(
            ["bash", "-c", COMMANDS],
            cwd=work,
            env={
                "PATH": f"{fakes}:{os.environ['PATH']}",
                "CALLS": str(calls),
                "LOCATION": f"file://{layer}",
                "SOURCE": LAYER,
                "IMAGES": " ".join(map(word, images)),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=300,
        )
        print(done.stdout, done.stderr)
        lines = calls.read_text().splitlines() if calls.exists() else []
        return done.returncode, [json.loads(line) for line in lines]

    return execute


def test_the_commands_are_bashs() -> None:
    assert BUILDSPEC["env"] == {"shell": "bash"}
    done = subprocess.run(["bash", "-n", "-c", COMMANDS], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_image_is_built_of_its_own_parts_and_pushed(run: Run) -> None:
    status, [fetch, *calls] = run("processing", "linear")
    assert status == 0
    assert fetch == [
        "aws", "lambda", "get-layer-version-by-arn", "--arn", LAYER,
        "--query", "Content.Location", "--output", "text",
    ]  # fmt: skip
    assert len(calls) == 6
    for image, (password, login, build) in zip(("processing", "linear"), (calls[:3], calls[3:]), strict=True):
        assert password == ["aws", "ecr", "get-login-password"]
        assert login == ["docker", "login", "--username", "AWS", "--password-stdin", REGISTRY, "a password"]
        uri = word(image).partition("=")[0]
        *options, context, files = build
        assert context == "context"
        assert options == [
            "docker", "buildx", "build", "--file", f"context/{image}/Dockerfile",
            "--platform", "linux/amd64", "--build-arg", f"NAME={image}", "--provenance=false", "--sbom=false",
            "--output", f"type=image,name={uri},oci-mediatypes=false,push=true",
        ]  # fmt: skip
        assert {Path(file).parts[0] for file in files} == set(parts(image))
        for path in hashed(image):  # what could be run still can
            assert files[str(path.relative_to(CONTAINERS))] == os.access(path, os.X_OK)
    assert calls[5][-1]["linear/train"]


def hashed(image: str) -> list[Path]:
    files: list[Path] = SOURCES["files"](CONTAINERS, image)
    return files


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_built_is_what_its_tag_is_a_digest_of(run: Run, image: str) -> None:
    """Docker leaves out what .dockerignore says, of all that the context holds."""
    status, calls = run(image)
    assert status == 0
    ignored = [line.removeprefix("**/") for line in (CONTAINERS / ".dockerignore").read_text().split()]
    seen = {
        file
        for file in calls[-1][-1]
        if not any(fnmatch(part, pattern) for part in Path(file).parts for pattern in ignored)
    }
    files = {str(path.relative_to(CONTAINERS)) for path in hashed(image)}
    assert seen == {file for file in files if not file.endswith(("Dockerfile", ".dockerignore"))}


@pytest.mark.parametrize("image", IMAGES)
def test_a_dockerfile_copies_only_what_its_build_gets(image: str) -> None:
    dockerfile = (CONTAINERS / image / "Dockerfile").read_text().replace("${NAME}", image)
    copies = re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
    copied = {source.partition("/")[0] for line in copies for source in line.split()[:-1]}
    assert copied
    assert copied <= set(parts(image))


def test_an_image_that_fails_fails_the_build(run: Run) -> None:
    status, calls = run("processing", "linear", BROKEN="retrain-processing:")
    assert status == 1
    assert not any("context/linear/Dockerfile" in call for call in calls)


def test_a_registry_that_refuses_fails_the_build(run: Run) -> None:
    status, calls = run("linear", BROKEN="login")
    assert status == 1
    assert calls[-1][:2] == ["docker", "login"]


def test_a_source_that_is_gone_fails_the_build(run: Run) -> None:
    status, calls = run("linear", LOCATION="file:///nowhere/layer.zip")
    assert status != 0
    assert [call[0] for call in calls] == ["aws"]
