"""How the tests are shared among pytest-xdist's workers: a file is one worker's, long files come first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

ROOT = Path(__file__).parents[1]
# Each of their files builds in the same storage, so one worker runs them all.
TOGETHER = ("tests/images/",)
# A long file that came last would keep one worker busy while the others have nothing to do.
FIRST = (
    "tests/images/",
    "tests/local/containers/",
    "tests/e2e/test_retrain.py",
    "tests/e2e/",
    "tests/local/",
    "localaws/tests/container_check/",
)

# A session of botocore parses the models of its services; moto and the tests start many sessions.
PARSED: dict[Any, Any] = {}


@pytest.fixture(autouse=True, scope="session")
def models_parsed_once() -> Iterator[None]:
    """Share the service models among the sessions of a process."""
    create = Loader.__init__

    def create_sharing(self: Loader, *arguments: Any, **options: Any) -> None:
        create(self, *arguments, **options)
        self._cache = PARSED  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loader, "__init__", create_sharing)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first."""
    items.sort(key=lambda item: rank(item.path.relative_to(ROOT).as_posix()))


def rank(path: str) -> int:
    """Return a file's place in FIRST, or a place after all of them."""
    return next((place for place, prefix in enumerate(FIRST) if path.startswith(prefix)), len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each file to one worker, as `--dist=loadfile` does, and those of TOGETHER to the same."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((folder for folder in TOGETHER if file.startswith(folder)), file)

    return Scheduling(config, log)
