import subprocess
from pathlib import Path

import pytest

from localaws.runtimes import environments
from localaws.runtimes.container import ImageError
from localaws.runtimes.environments import Environments
from localaws.runtimes.images import Images

PROJECT = """
[build-system]
requires = ["flit_core==3.12.0"]
build-backend = "flit_core.buildapi"

[project]
name = "some-kit"
version = "1"
description = "A kit."

[tool.flit.module]
name = "kit"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image's folder that requires a project in a neighbouring folder."""
    (tmp_path / "images/kit/kit").mkdir(parents=True)
    (tmp_path / "images/kit/pyproject.toml").write_text(PROJECT)
    (tmp_path / "images/kit/kit/__init__.py").write_text('"""A kit."""\n\nVALUE = 1\n')
    folder = tmp_path / "images/tiny"
    folder.mkdir()
    (folder / "requirements.txt").write_text("# what images share\n../kit  # beside this folder\n")
    return folder


def value(environment: Path) -> str:
    command = [str(environment / "bin/python"), "-c", "import kit; print(kit.VALUE)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_local_project_is_reinstalled_after_a_change(folder: Path, tmp_path: Path) -> None:
    cache = Environments(tmp_path / "cache")
    first = cache.make(folder)
    assert value(first) == "1"
    (folder.parent / "kit/kit/__init__.py").write_text('"""A kit."""\n\nVALUE = 2\n')
    second = cache.make(folder)
    assert second != first
    assert value(second) == "2"


def test_the_digest_includes_local_projects(folder: Path) -> None:
    images = Images(folder.parent)
    first = images.digest("tiny")
    (folder.parent / "kit/.mypy_cache").mkdir()
    (folder.parent / "kit/.mypy_cache/cached.json").write_text("{}")
    assert images.digest("tiny") == first
    (folder.parent / "kit/kit/more.py").write_text("")
    assert images.digest("tiny") != first


def test_a_missing_local_project_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "requirements.txt").write_text("../moon\n")
    with pytest.raises(
        ImageError, match=rf"tiny/requirements.txt refers to {folder.parent}/moon, which does"
    ):
        Environments(tmp_path / "cache").make(folder)


def test_pip_s_variables_are_translated_for_uv() -> None:
    variables = {
        "PIP_FIND_LINKS": "/some/wheels /other/wheels",
        "PIP_EXTRA_INDEX_URL": "https://one https://two",
        "PIP_INDEX_URL": "https://three",
        "UV_DEFAULT_INDEX": "https://wins",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "PYTHONPATH": "/some/path",
        "PYTHONPYCACHEPREFIX": "/some/cache",
    }
    environment = environments._environment(variables)
    assert environment.items() >= {
        ("UV_FIND_LINKS", "/some/wheels,/other/wheels"),
        ("UV_EXTRA_INDEX_URL", "https://one https://two"),
        ("UV_DEFAULT_INDEX", "https://wins"),
    }
    assert not environment.keys() & {"AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "PYTHONPYCACHEPREFIX"}
