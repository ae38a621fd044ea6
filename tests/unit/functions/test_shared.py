import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import table, uris
from shared.plan import Forgetting, ForgottenFile, Plan, PlannedObject, SetAsideObject, plan_body

FUNCTIONS = Path(__file__).parents[3] / "functions"
PACKAGES = sorted(path.parent.name for path in FUNCTIONS.glob("*/__init__.py"))


def imported(package: str) -> Iterator[str]:
    """The packages of functions/ that a package's modules import."""
    for path in (FUNCTIONS / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: {node.module} is imported relatively"
                names = [node.module or ""]
            else:
                continue
            yield from {name.partition(".")[0] for name in names} & set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_function_imports_only_itself_and_shared(package: str) -> None:
    assert set(imported(package)) <= {package, "shared"}


def test_shared_imports_no_function() -> None:
    assert set(imported("shared")) == {"shared"}
    assert len(PACKAGES) == 8


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://bucket/a/b.json", ("bucket", "a/b.json")),
        ("s3://bucket/a/", ("bucket", "a/")),
        ("s3://bucket", ("bucket", "")),
    ],
)
def test_a_uri_is_a_bucket_and_a_key(uri: str, parts: tuple[str, str]) -> None:
    assert uris.split(uri) == parts


def test_a_plan_lists_its_objects_in_camel_case() -> None:
    planned = PlannedObject(key="raw/a", etag="1", size=2, event_time="2026-01-01T00:00:00.000Z")
    assert plan_body(Plan(objects=(planned,))) == (
        b'{"objects": [{"key": "raw/a", "etag": "1", "size": 2, "eventTime": "2026-01-01T00:00:00.000Z"}]}'
    )
    aside = SetAsideObject(key="raw/a//b", etag="2", size=3, reason="a name")
    plan = Plan(objects=(planned,), set_aside=(aside,), held=("raw/a",))
    assert json.loads(plan_body(plan))["setAside"] == [
        {"key": "raw/a//b", "etag": "2", "size": 3, "reason": "a name"}
    ]
    assert plan.for_jobs() == Plan(objects=(planned,))
    assert plan.versions() == {("raw/a", "1"), ("raw/a//b", "2")}


def test_a_plan_lists_what_it_deletes_and_only_what_it_has() -> None:
    assert plan_body(Plan()) == b'{"objects": []}'
    forget = Forgetting(at="2026-01-01T00:00:00.000Z", files=(ForgottenFile(key="raw/a", etag="1"),))
    assert json.loads(plan_body(Plan(forget=forget, forgotten_ids=("17",)))) == {
        "objects": [],
        "forget": {"at": "2026-01-01T00:00:00.000Z", "files": [{"key": "raw/a", "etag": "1"}]},
        "forgottenIds": ["17"],
    }


def test_an_items_key_is_its_partition_and_its_place_in_it() -> None:
    assert table.key(table.LEDGER, "raw/a") == {"pk": {"S": "OBJECT"}, "sk": {"S": "raw/a"}}
