"""Imports within localaws point one way, and what it imports besides is declared."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import localaws

SOURCE = Path(localaws.__file__).parent
PROJECT = SOURCE.parents[1] / "pyproject.toml"
# From the bottom to the top: a package imports only itself and those before it.
ORDER = (
    "asgi",
    "settings",
    "runtimes",
    "sagemaker.api",
    "sagemaker.platform",
    "sagemaker.registry",
    "sagemaker.hosting",
    "sagemaker.jobs",
    "sagemaker.tuning",
    "sagemaker.featurestore",
    "sagemaker.pipelines",
    "sagemaker.service",
    "container_check",
    "browser_guard",
    "ministack_adapter",
    "server",
    "lifecycle",
    "layers",
    "testing",
    "__main__",
)


def name_of(path: Path) -> str:
    """The dotted name of a module without "localaws."."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SOURCE.rglob("*.py")}


def imported(path: Path, *, for_types: bool = True) -> Iterator[str]:
    """The absolute names that a module imports."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and not for_types and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(path: Path) -> set[str]:
    """The modules of localaws that a module imports."""
    names = {name.removeprefix("localaws.") for name in imported(path) if name.startswith("localaws.")}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def package_of(module: str) -> str:
    """The entry of ORDER that a module belongs to."""
    return next(package for package in ORDER if f"{module}.".startswith(f"{package}."))


def test_every_import_points_down() -> None:
    upward = [
        f"{module} imports {target}"
        for module, path in MODULES.items()
        for target in own(path)
        if ORDER.index(package_of(target)) > ORDER.index(package_of(module))
    ]
    assert upward == []


def test_no_modules_import_each_other() -> None:
    graph = {module: own(path) - {module} for module, path in MODULES.items()}
    TopologicalSorter(graph).prepare()


def test_only_the_adapter_imports_ministack() -> None:
    importers = {
        package_of(module)
        for module, path in MODULES.items()
        if any(name.partition(".")[0] == "ministack" for name in imported(path))
    }
    assert importers == {"ministack_adapter"}


def test_imported_and_declared_distributions_are_the_same() -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    declared = {re.split(r"[^\w-]", dependency)[0] for dependency in project["dependencies"]}
    found = {name.partition(".")[0] for path in MODULES.values() for name in imported(path, for_types=False)}
    assert found - {"localaws"} - sys.stdlib_module_names == declared
