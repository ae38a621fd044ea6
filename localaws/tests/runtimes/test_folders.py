from pathlib import Path

import pytest

from localaws.runtimes.folders import digest, local_projects
from localaws_tests.requirement_lines import NO_PATHS, PATHS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image's folder, with all the paths that the requirement lines refer to."""
    for name in ("kit", "deep/kit", "image/kit"):
        (tmp_path / name).mkdir(parents=True)
    for file in ("kit-1.0-py3-none-any.whl", "kit/more.txt", "image/more.txt"):
        (tmp_path / file).write_text("")
    return tmp_path / "image"


@pytest.mark.parametrize("line", PATHS)
def test_a_line_with_a_path(folder: Path, line: str) -> None:
    (folder / "requirements.txt").write_text(f"numpy\n{line}\nscipy\n")
    assert local_projects(folder) == [(folder / PATHS[line]).resolve()]


@pytest.mark.parametrize("line", NO_PATHS)
def test_a_line_without_a_path(folder: Path, line: str) -> None:
    (folder / "requirements.txt").write_text(line)
    assert local_projects(folder) == []


def test_the_digest_includes_required_archives(folder: Path) -> None:
    (folder / "requirements.txt").write_text("../kit-1.0-py3-none-any.whl")
    before = digest(folder)
    (folder.parent / "kit-1.0-py3-none-any.whl").write_text("other")
    assert digest(folder) != before


def test_the_digest_includes_the_paths_of_included_files(folder: Path) -> None:
    (folder / "requirements.txt").write_text("-r more.txt")
    (folder / "more.txt").write_text("../kit")
    assert local_projects(folder) == [folder / "more.txt", folder.parent / "kit"]
    before = digest(folder)
    (folder.parent / "kit/module.py").write_text("other")
    assert digest(folder) != before
