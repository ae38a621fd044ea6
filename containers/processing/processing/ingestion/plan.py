"""Read the plan: the objects that this run ingests, and the event time of each."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from processing.errors import PlanError

SKIPPED = "plans/"  # the plan itself is downloaded with the objects
EVENT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """An object to ingest.

    Its records have its event time, so that ingesting it again changes nothing.
    """

    key: str
    etag: str
    event_time: str
    path: Path
    size: int = 0  # in bytes, as planned


class Planned(NamedTuple):
    """What the plan says of an object."""

    etag: str
    event_time: str
    size: int


def shared_sources(file: Path, folder: Path, host: str, hosts: Sequence[str]) -> tuple[list[Source], int]:
    """Return this instance's share of the planned objects, sorted by key, and the number of all.

    The largest objects are given out first, each to the instance with the fewest bytes. Every instance
    computes the same shares.

    Args:
        file: plan.json.
        folder: where the objects are downloaded to, under names that any file system takes.

    Raises:
        PlanError: The plan cannot be read.
    """
    planned = read_objects(file)
    shares: dict[str, list[str]] = {name: [] for name in hosts}
    loads = dict.fromkeys(hosts, 0)
    for key in sorted(planned, key=lambda key: (-planned[key].size, key)):
        instance = min(hosts, key=lambda name: (loads[name], len(shares[name])))
        shares[instance].append(key)
        loads[instance] += planned[key].size
    own = sorted(shares[host])
    return [source(key, planned, folder / str(number)) for number, key in enumerate(own)], len(planned)


def source(key: str, planned: Mapping[str, Planned], path: Path) -> Source:
    """Return a planned object."""
    item = planned[key]
    return Source(key, item.etag, item.event_time, path, item.size)


def sources(raw: Path, file: Path) -> tuple[list[Source], int]:
    """Return the objects below `raw`, sorted by key, and the number of planned objects on all instances.

    For a job that is run by hand, without a bucket.

    Raises:
        PlanError: The plan cannot be read, or does not list a file.
    """
    planned = read_objects(file)
    found = {path.relative_to(raw).as_posix(): path for path in raw.rglob("*") if path.is_file()}
    keys = sorted(key for key in found if not key.startswith(SKIPPED))
    if unknown := [key for key in keys if key not in planned]:
        more = f" and {len(unknown) - 1} more files" if len(unknown) > 1 else ""
        raise PlanError(f"the plan does not list {unknown[0]}{more}; start the workflow again for a new plan")
    count = sum(not key.endswith("/") for key in planned)  # a folder marker is not a file
    return [source(key, planned, found[key]) for key in keys], count


def first_time(file: Path) -> str:
    """Return the earliest event time of a valid plan's objects, on all instances."""
    return min(str(item["eventTime"]) for item in read(file)["objects"])


def read(file: Path) -> dict[str, Any]:
    """Read the plan.

    Raises:
        PlanError: It is missing, or is not a JSON object.
    """
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise PlanError(f"there is no plan: {file} is missing") from error
    except ValueError as error:
        raise PlanError(f"{file.name} is not a valid plan: {type(error).__name__} {error}") from error
    if not isinstance(content, dict):
        raise PlanError(f"{file.name} is not a valid plan: a JSON object is needed")
    return content


def read_objects(file: Path) -> dict[str, Planned]:
    """Read what the plan says of each object."""
    content = read(file)
    try:
        entries = {
            item["key"]: Planned(item["etag"], item["eventTime"], int(item.get("size", 0)))
            for item in content["objects"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError(f"{file.name} is not a valid plan: {type(error).__name__} {error}") from error
    for key, (etag, event_time, _) in entries.items():
        if not isinstance(etag, str):
            raise PlanError(f"{file.name}: the etag of {key} is {etag!r}; a string is needed")
        check_time(file, f"the eventTime of {key}", event_time)
    return entries


def check_time(file: Path, subject: str, time: object) -> None:
    """Refuse what is not the text of an event time, which is later part of a query."""
    if not isinstance(time, str) or not EVENT_TIME.fullmatch(time):
        wanted = "a time such as 2026-11-23T03:07:15.001Z is needed"
        raise PlanError(f"{file.name}: {subject} is {time!r}; {wanted}")
