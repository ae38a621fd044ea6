import sys
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load_module() -> Iterator[Callable[[str | Path], ModuleType]]:
    """Import a file of a deployed folder as it is imported there: the folder first on sys.path.

    Folders may hold modules of the same name (`app`, `errors`); those of one test never reach another.
    """
    path, modules = list(sys.path), dict(sys.modules)
    touched: set[str] = set()

    def load(file: str | Path) -> ModuleType:
        source = (ROOT / file).resolve(strict=True)
        stems = {sibling.stem for sibling in source.parent.glob("*.py")} | {source.stem}
        touched.update(stems)
        for stem in stems & sys.modules.keys():
            if Path(sys.modules[stem].__file__ or "").parent != source.parent:
                del sys.modules[stem]
        sys.path.insert(0, str(source.parent))
        if source.stem not in sys.modules:
            execute(source)
        return sys.modules[source.stem]

    yield load
    sys.path[:] = path
    for stem in touched:
        sys.modules.pop(stem, None)
        if stem in modules:
            sys.modules[stem] = modules[stem]


def execute(source: Path) -> None:
    spec = spec_from_loader(source.stem, SourceFileLoader(source.stem, str(source)))
    assert spec is not None
    assert spec.loader is not None
    sys.modules[source.stem] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
