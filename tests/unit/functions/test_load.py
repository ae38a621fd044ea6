from datetime import UTC, datetime

import pytest

from plan_run import load
from plan_run.raw_objects import RawObject

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIB = 1 << 30


def raw(*sizes: int) -> list[RawObject]:
    return [RawObject(f"raw/{number}", "etag", size, NOW) for number, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ([], 0),
        ([10], 1),
        ([4, 6], 2),
        ([4, 7], 1),
        ([4, 7, 1], 1),  # the last one would fit, but is younger than one that waits
        ([10, 10, 10], 1),
        ([0, 10, 0, 1], 3),
    ],
)
def test_the_oldest_files_that_fit_are_taken(sizes: list[int], taken: int) -> None:
    files = raw(*sizes)
    assert load.take(files, 10) == (files[:taken], files[taken:])


@pytest.mark.parametrize(
    ("size", "gigabytes"), [(0, 30), (1, 31), (GIB // 6, 31), (GIB, 36), (100 * GIB, 630), (1 << 50, 16_384)]
)
def test_the_volume_grows_with_the_planned_bytes(size: int, gigabytes: int) -> None:
    assert load.ingest_volume(raw(size)) == gigabytes
    assert load.ingest_volume(raw(size // 2, size - size // 2)) == gigabytes


@pytest.mark.parametrize("largest", [31, 32, 500, 16_384])
def test_what_a_run_takes_fits_on_the_largest_volume(largest: int) -> None:
    most = load.most_bytes(largest)
    assert load.ingest_volume(raw(most)) == largest
    assert load.ingest_volume(raw(most + 1)) == min(largest + 1, 16_384)


def test_the_dataset_has_room_for_all_files() -> None:
    assert load.dataset_volume(raw(GIB, GIB), kept=0) == load.dataset_volume(raw(GIB), kept=GIB) == 58
