"""How the tests are shared among pytest-xdist's workers: a file is one worker's, long files come first."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# Each builds in the same storage, so one worker has them all.
TOGETHER = ("tests/images",)
# A long file that came last would keep one worker busy while the others have nothing to do.
FIRST = (
    "tests/images",
    "tests/local/containers",
    "tests/e2e/test_retrain.py",
    "tests/e2e",
    "tests/local",
    "localaws/tests/container_check",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first, and give each file's tests to one worker."""
    paths = {item: item.path.relative_to(ROOT).as_posix() for item in items}
    items.sort(key=lambda item: rank(paths[item]))
    for item, path in paths.items():
        group = next((folder for folder in TOGETHER if path.startswith(folder)), path)
        item.add_marker(pytest.mark.xdist_group(group))


def rank(path: str) -> int:
    """Return a file's place in FIRST, or a place after all of them."""
    return next((place for place, prefix in enumerate(FIRST) if path.startswith(prefix)), len(FIRST))
