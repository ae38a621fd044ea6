"""Read the plan: the objects that this run ingests, and the event time of each."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def sources(raw: Path, file: Path) -> tuple[list[Source], int]:
    """Return the objects below `raw`, sorted by key, and the number of planned objects on all instances.

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
    return [Source(key, *planned[key], found[key]) for key in keys], count


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


def read_objects(file: Path) -> dict[str, tuple[str, str]]:
    """Read the ETag and event time of each planned object."""
    content = read(file)
    try:
        objects = content["objects"]
        entries = {item["key"]: (item["etag"], item["eventTime"]) for item in objects}
    except (KeyError, TypeError) as error:
        raise PlanError(f"{file.name} is not a valid plan: {type(error).__name__} {error}") from error
    for key, (etag, event_time) in entries.items():
        if not isinstance(etag, str):
            raise PlanError(f"{file.name}: the etag of {key} is {etag!r}; a string is needed")
        check_time(file, f"the eventTime of {key}", event_time)
    return entries


def check_time(file: Path, subject: str, time: object) -> None:
    """Refuse what is not the text of an event time, which is later part of a query."""
    if not isinstance(time, str) or not EVENT_TIME.fullmatch(time):
        wanted = "a time such as 2026-11-23T03:07:15.001Z is needed"
        raise PlanError(f"{file.name}: {subject} is {time!r}; {wanted}")
