"""Only localaws, the tests, the benchmarks and the Makefile know localaws; localaws knows nothing of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOYED = ("functions", "statemachine", "pipeline", "containers", "demo")
FILES = ("template.yaml", "samconfig.toml", "samconfig.py")


def code(folder: Path) -> Iterator[tuple[Path, str]]:
    """The text files of a folder that are not documentation."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".md", ".pyc"):
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


def test_what_is_deployed_does_not_mention_localaws() -> None:
    texts = [item for folder in DEPLOYED for item in code(ROOT / folder)]
    texts += [(ROOT / name, (ROOT / name).read_text()) for name in FILES]
    assert len(texts) > 100
    assert [str(path.relative_to(ROOT)) for path, text in texts if "localaws" in text] == []


def test_localaws_and_its_tests_import_nothing_else_of_the_repository() -> None:
    others = {path.stem for path in ROOT.iterdir() if path.is_dir() or path.suffix == ".py"} - {"localaws"}
    others |= {path.parent.name for folder in DEPLOYED for path in (ROOT / folder).rglob("__init__.py")}
    assert {"tests", "benchmarks", "toolkit"} <= others
    crossing = []
    for path in (ROOT / "localaws").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            crossing += [f"{path}: {name}" for name in names if name.partition(".")[0] in others]
    assert crossing == []
