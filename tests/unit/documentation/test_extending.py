import ast
import shutil
from pathlib import Path

import pytest

from tests.unit.documentation.recipes import AnchorError, Edit, apply, recipes

ROOT = Path(__file__).parents[3]
RECIPES = recipes((ROOT / "docs" / "extending.md").read_text("utf-8"))


@pytest.mark.parametrize("title", RECIPES)
def test_each_recipe_applies(title: str, tmp_path: Path) -> None:
    for edit in RECIPES[title]:
        copy = tmp_path / edit.path
        if edit.operation == "create":
            assert not (ROOT / edit.path).exists()
        elif not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / edit.path, copy)
        apply(edit, tmp_path)
    for file in tmp_path.rglob("*.py"):
        ast.parse(file.read_text("utf-8"))


def test_a_metric_touches_four_files_at_most() -> None:
    [title] = [title for title in RECIPES if "metric" in title]
    assert len({edit.path for edit in RECIPES[title]}) <= 4


def test_an_anchor_that_is_not_one_line_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 2\n")
    for anchor in ("x =", "y ="):
        with pytest.raises(AnchorError, match="exactly one"):
            apply(Edit("a.py", "after", anchor, "", 0o644, "z = 3\n"), tmp_path)
