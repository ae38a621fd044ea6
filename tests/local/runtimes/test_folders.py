from pathlib import Path

import pytest

from localaws.runtimes.folders import digest, local_projects
from tests.requirement_lines import NO_PATHS, PATHS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image's folder, with all there that a line may name."""
    for path in PATHS.values():
        (tmp_path / "image" / path).parent.mkdir(parents=True, exist_ok=True)
    for name in ("kit", "deep/kit", "image/kit"):
        (tmp_path / name).mkdir()
    (tmp_path / "kit-1.0-py3-none-any.whl").write_text("packed")
    return tmp_path / "image"


@pytest.mark.parametrize("line", PATHS)
def test_a_line_names_a_path(folder: Path, line: str) -> None:
    (folder / "requirements.txt").write_text(f"numpy\n{line}\nscipy\n")
    assert local_projects(folder) == [(folder / PATHS[line]).resolve()]


@pytest.mark.parametrize("line", NO_PATHS)
def test_a_line_names_no_path(folder: Path, line: str) -> None:
    (folder / "requirements.txt").write_text(line)
    assert local_projects(folder) == []


def test_an_archive_that_is_required_is_in_the_digest(folder: Path) -> None:
    (folder / "requirements.txt").write_text("../kit-1.0-py3-none-any.whl")
    before = digest(folder)
    (folder.parent / "kit-1.0-py3-none-any.whl").write_text("other")
    assert digest(folder) != before
