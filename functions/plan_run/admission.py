"""Admission: which objects under raw/ are data, and which of these no job can take, with the reason.

An object that cannot be taken is set aside, and the others go on. Its reason is found again at each plan, so
that an object that was restored from an archive, or that fits after a parameter was raised, is taken by the
next run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from plan_run.load import shown_size
from plan_run.raw_objects import RawObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plan_run.ledger import Ledger

NAME_BYTES = 800  # of a name as JSON, so that an exit message can hold it with a reason
PART_BYTES = 255  # of a name between slashes, a file system's limit
MARKERS = ("_$folder$",)  # of Hadoop's and EMR's folders
MARKER_SUFFIXES = (".complete", ".completed", ".done", ".flag", ".ok", ".ready", ".success", ".trigger")
CHECKSUM = ".crc"  # Hadoop's
# Objects of these classes may be archived. ListObjectsV2 does not show INTELLIGENT_TIERING's tier.
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING")
HEADS = 10  # requests in parallel, the size of boto3's connection pool
RESTORED = 'ongoing-request="false"'
RESTORING = 'ongoing-request="true"'


class SetAside(NamedTuple):
    """An object that no job can take, and why."""

    item: RawObject
    reason: str


class Admission(NamedTuple):
    """The objects that jobs can take, those that they cannot, and the number of those that are no data."""

    usable: list[RawObject]
    set_aside: list[SetAside]
    ignored: int


def admit(
    s3: S3Client, bucket: str, objects: Iterable[RawObject], ledger: Ledger, most_bytes: int
) -> Admission:
    """Sort the objects under raw/.

    An object that was processed is usable whatever its name or class: no job reads it again. Of a file and a
    folder of one name, the file is set aside: it is one object, and all in the folder go on. A folder of
    objects that give nothing does not count.

    Args:
        most_bytes: the largest object that a job's volume has room for.
    """
    listed = list(objects)
    data = [item for item in listed if is_data(item)]
    reasons: dict[RawObject, str] = {}
    doubtful: list[RawObject] = []
    unlisted = [item for item in data if not ledger.lists(item)]
    for item in unlisted:
        if reason := refuse(item, most_bytes):
            reasons[item] = reason
        elif item.storage_class in ARCHIVES:
            doubtful.append(item)
    reasons |= archived(s3, bucket, doubtful)
    folders = parents(item for item in data if item not in reasons and not ledger.refuses(item))
    for item in unlisted:
        if item.name in folders and item not in reasons:
            reasons[item] = "a folder has the same name; copy it to another name"
    return Admission(
        [item for item in data if item not in reasons],
        [SetAside(item, reasons[item]) for item in data if item in reasons],
        len(listed) - len(data),
    )


def is_data(item: RawObject) -> bool:
    """Return whether the object is data: not a folder, a marker, a checksum or a hidden file.

    Spark and Hive hide names that begin with an underscore, such as _SUCCESS, _metadata and _temporary/.
    """
    *folders, last = item.name.split("/")
    if any(is_hidden(part) for part in (*folders, last)):
        return False
    if last.endswith((*MARKERS, CHECKSUM)):
        return False
    return item.size > 0 or not ("." not in last or last.lower().endswith(MARKER_SUFFIXES))


def is_hidden(part: str) -> bool:
    """Return whether a part of a name is hidden; `.` and `..` are no names."""
    return part.startswith((".", "_")) and part not in (".", "..")


def parents(objects: Iterable[RawObject]) -> set[str]:
    """Return the name of every folder that holds an object."""
    found: set[str] = set()
    for item in objects:
        folder = item.name.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def refuse(item: RawObject, most_bytes: int) -> str | None:
    """Return why no job can take an object, by its name and size; None if nothing is known against it."""
    if reason := refuse_name(item.name):
        return f"{reason}; copy it to another name"
    if item.size > most_bytes:
        return (
            f"{shown_size(item.size)}, more than the {shown_size(most_bytes)} that a run takes; split the "
            "file, or raise the stack's MaxIngestVolumeSizeInGB"
        )
    return None


def refuse_name(name: str) -> str | None:
    """Return why a name cannot be a path, or is too long for an exit message that names it."""
    parts = name.split("/")
    if "" in parts:
        return "the name has an empty part"
    if found := {".", ".."} & set(parts):
        return f"the name has the part {min(found)!r}"
    if any(len(part.encode()) > PART_BYTES for part in parts):
        return f"the name has a part of more than {PART_BYTES} bytes"
    if len(json.dumps(name, ensure_ascii=False).encode()) > NAME_BYTES:
        return f"the name has more than {NAME_BYTES} bytes"
    return None


def archived(s3: S3Client, bucket: str, objects: Sequence[RawObject]) -> dict[RawObject, str]:
    """Return the reasons of those objects that are archived and not restored."""
    if not objects:
        return {}
    with ThreadPoolExecutor(HEADS) as pool:
        reasons = pool.map(partial(refuse_archive, s3, bucket), objects)
        return {item: reason for item, reason in zip(objects, reasons, strict=True) if reason}


def refuse_archive(s3: S3Client, bucket: str, item: RawObject) -> str | None:
    """Return why an object of a class with archives cannot be read; None if it can, or if that is unknown."""
    try:
        head = s3.head_object(Bucket=bucket, Key=item.key)
    except ClientError:
        return None  # ingestion will see, and loses only this object
    restore = head.get("Restore", "")
    tier = head.get("ArchiveStatus")  # of INTELLIGENT_TIERING
    if item.storage_class == "INTELLIGENT_TIERING" and not tier:
        return None
    if RESTORED in restore:
        return None
    if RESTORING in restore:
        return f"being restored from {tier or item.storage_class}; a run after that takes it"
    return f"archived in {tier or item.storage_class}; restore it (aws s3api restore-object)"
