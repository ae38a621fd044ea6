"""The load of a run: the oldest new files that fit on a job's volume, and the size of that volume.

docs/decisions/0020 has the measurements behind the factors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from plan_run.raw_objects import RawObject

GIB = 1 << 30  # the unit of VolumeSizeInGB
# Room for the rows of any one file that the contract admits, whatever its compression.
FIXED_GB = 30
INGEST_FACTOR = 6  # bytes on IngestRecords' volume per planned byte
DATASET_FACTOR = 14  # bytes on CreateDataset's volume per byte of files with records
MAX_VOLUME_GB = 16_384  # SageMaker's


class Load(NamedTuple):
    """The files of this run, and those that later runs take."""

    taken: list[RawObject]
    waiting: list[RawObject]


def most_bytes(max_volume_gb: int) -> int:
    """Return how many planned bytes the largest volume has room for."""
    return (max_volume_gb - FIXED_GB) * GIB // INGEST_FACTOR


def take(new: Sequence[RawObject], most: int) -> Load:
    """Return the oldest files whose sum is at most `most` bytes.

    Only the end of the order of arrival waits: a file that overtook an older one would lose against its rows.

    Args:
        new: the new files in the order of arrival, each of at most `most` bytes.
        most: in bytes.
    """
    size = 0
    for number, item in enumerate(new):
        size += item.size
        if size > most:
            return Load([*new[:number]], [*new[number:]])
    return Load([*new], [])


def ingest_volume(planned: Iterable[RawObject]) -> int:
    """Return the size of IngestRecords' volume in GB."""
    return volume(sum(item.size for item in planned), INGEST_FACTOR)


def dataset_volume(objects: Iterable[RawObject], kept: int) -> int:
    """Return the size of CreateDataset's volume in GB, for the records of all files.

    Args:
        objects: the files under raw/.
        kept: the bytes of other files whose records may exist.
    """
    return volume(sum(item.size for item in objects) + kept, DATASET_FACTOR)


def volume(size: int, factor: int) -> int:
    """Return the size of a volume in GB for files of this size in bytes."""
    return min(FIXED_GB + math.ceil(size * factor / GIB), MAX_VOLUME_GB)


def shown_size(size: int) -> str:
    """Return a number of bytes for a message, such as `1.5 GB`."""
    return f"{size / GIB:,.1f} GB" if size >= GIB else f"{size / (1 << 20):,.1f} MB"
