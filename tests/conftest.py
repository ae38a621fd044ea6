import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def load_module() -> Iterator[Callable[[str | Path], ModuleType]]:
    """Import a file of a deployed folder as it is imported there: the folder first on sys.path.

    A file of a package in it is imported by its dotted name. Folders may hold modules of the same name
    (`app`, `errors`); those of one test never reach another.
    """
    path, modules = list(sys.path), dict(sys.modules)
    touched: set[str] = set()

    def load(file: str | Path) -> ModuleType:
        source = (ROOT / file).resolve(strict=True)
        folder = next(parent for parent in source.parents if not (parent / "__init__.py").exists())
        name = ".".join(source.relative_to(folder).with_suffix("").parts)
        packages = (entry.name for entry in folder.iterdir() if (entry / "__init__.py").exists())
        stems = {*packages, *(module.stem for module in folder.glob("*.py")), name.partition(".")[0]}
        touched.update(stems)
        for other in among(sys.modules, stems):
            if folder not in Path(sys.modules[other].__file__ or "").parents:
                del sys.modules[other]
        sys.path.insert(0, str(folder))
        if name not in sys.modules:
            if "." in name:
                import_module(name)
            else:
                execute(source)
        return sys.modules[name]

    yield load
    sys.path[:] = path
    for name in among(sys.modules, touched):
        del sys.modules[name]
    sys.modules.update((name, modules[name]) for name in among(modules, touched))


def among(modules: Iterable[str], stems: set[str]) -> list[str]:
    """Those of these names, and those inside of packages of these names."""
    return [name for name in modules if name.partition(".")[0] in stems]


def execute(source: Path) -> None:
    spec = spec_from_loader(source.stem, SourceFileLoader(source.stem, str(source)))
    assert spec is not None
    assert spec.loader is not None
    sys.modules[source.stem] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
