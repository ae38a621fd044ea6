"""The plan's objects among the instances of a job."""

import json
from pathlib import Path

import pytest

from processing.ingestion.plan import shared_sources

HOSTS = ["algo-1", "algo-2", "algo-3"]


def write(folder: Path, **sizes: int) -> Path:
    objects = [
        {
            "key": f"raw/{name}",
            "etag": f"etag of {name}",
            "size": size,
            "eventTime": "2026-11-23T03:07:15.001Z",
        }
        for name, size in sizes.items()
    ]
    file = folder / "plan.json"
    file.write_text(json.dumps({"objects": objects}))
    return file


def test_each_object_has_one_instance_and_the_bytes_are_even(tmp_path: Path) -> None:
    file = write(tmp_path, a=100, b=40, c=30, d=30, e=50, f=50)
    shares = {host: shared_sources(file, tmp_path, host, HOSTS) for host in HOSTS}
    assert {count for _, count in shares.values()} == {6}
    keys = [source.key for share, _ in shares.values() for source in share]
    assert sorted(keys) == [f"raw/{name}" for name in "abcdef"]
    loads = [sum(source.size for source in share) for share, _ in shares.values()]
    assert sorted(loads) == [90, 100, 110]


@pytest.mark.parametrize("host", HOSTS)
def test_more_instances_than_objects(tmp_path: Path, host: str) -> None:
    share, count = shared_sources(write(tmp_path, a=1), tmp_path, host, HOSTS)
    assert ([source.key for source in share], count) == (["raw/a"] if host == "algo-1" else [], 1)


def test_empty_objects_are_spread_too(tmp_path: Path) -> None:
    file = write(tmp_path, a=0, b=0, c=0)
    assert [len(shared_sources(file, tmp_path, host, HOSTS)[0]) for host in HOSTS] == [1, 1, 1]


def test_a_source_is_as_planned_under_a_name_of_its_own(tmp_path: Path) -> None:
    [source], _ = shared_sources(write(tmp_path, a=7), tmp_path, "algo-1", ["algo-1"])
    assert (source.key, source.etag, source.event_time) == ("raw/a", "etag of a", "2026-11-23T03:07:15.001Z")
    assert (source.path, source.size) == (tmp_path / "0", 7)
