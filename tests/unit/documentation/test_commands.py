import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from tests.template import read_template
from tests.unit.documentation.commands import PAGES, ROOT, blocks, commands

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z0-9-]+):.*##", MAKEFILE, re.MULTILINE))
GLOBAL_OPTIONS = {"--query", "--output", "--region", "--max-items"}  # of the CLI itself
CUSTOM = {"s3"}  # of the AWS CLI itself: no service model


@cache
def parameters() -> set[str]:
    return set(read_template()["Parameters"])


def pages(program: str) -> list[Path]:
    return [page for page in PAGES if any(commands(page, program))]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", pages("make"), ids=name)
def test_make_has_every_target_and_variable(page: Path) -> None:
    for words in commands(page, "make"):
        words = [word for word in words if not word.startswith("-")]
        targets = {word for word in words if "=" not in word} - {"…"}
        assert targets <= TARGETS, words
        for variable, _, value in (word.partition("=") for word in words if "=" in word):
            assert f"$({variable})" in MAKEFILE or f"$(or $({variable})" in MAKEFILE, words
            if variable == "PARAMETERS":
                named = {pair.partition("=")[0] for pair in value.split()} - {"…"}
                assert named <= parameters(), words


@pytest.mark.parametrize("page", pages("aws"), ids=name)
def test_aws_has_every_operation_and_option(page: Path) -> None:
    session = botocore.session.get_session()
    for service, operation, *words in commands(page, "aws"):
        if service in CUSTOM:
            continue
        model = session.get_service_model(service.replace("sagemaker-featurestore-runtime", service))
        operations = {xform_name(each, "-"): each for each in model.operation_names}
        assert operation in operations, (service, operation)
        shape = model.operation_model(operations[operation]).input_shape
        members = {f"--{xform_name(member, '-')}" for member in shape.members} if shape else set()
        options = {word for word in words if word.startswith("--")}
        assert options <= members | GLOBAL_OPTIONS | {"--max-items", "--force"}, (
            operation,
            options - members,
        )


@pytest.mark.parametrize("program", ["python", ".venv/bin/python", "localaws"])
def test_modules_have_every_command_and_option(program: str) -> None:
    for page in pages(program):
        for words in commands(page, program):
            if program == "localaws":
                words = ["-m", "localaws", *words]
            if words[:1] != ["-m"] or words[1] in ("pytest", "venv", "pip"):
                continue
            module, *rest = words[1:]
            subcommand = rest[:1] if module == "localaws" and rest[:1] and not rest[0].startswith("-") else []
            shown = help_of(module, *subcommand)
            for option in (word.partition("=")[0] for word in rest if word.startswith("--")):
                assert option in shown, (name(page), words)


@cache
def help_of(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def test_contributing_names_tests_that_exist() -> None:
    for words in commands(ROOT / "CONTRIBUTING.md", ".venv/bin/python"):
        for word in words:
            path, _, test = word.partition("::")
            if path.startswith("tests/"):
                assert (ROOT / path).exists(), word
                assert not test or f"def {test}(" in (ROOT / path).read_text(), word


def test_the_blocks_are_found() -> None:
    assert "make run\n" in blocks(ROOT / "README.md")
