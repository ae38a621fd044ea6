"""Convert an execution's history events to states with durations and outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

PAGE_EVENTS = 100
ATTEMPT_FAILED = re.compile(r"(Task|LambdaFunction)\w*(Failed|TimedOut)$")
ATTEMPT_SUCCEEDED = ("TaskSucceeded", "LambdaFunctionSucceeded")


@dataclass
class State:
    """A state of the workflow with all its visits; in a Map, several visits can overlap.

    Attributes:
        inside: the number of visits in progress.
        since: the start of the visits in progress.
        caught: whether the last attempt failed and the workflow continued.
    """

    name: str
    kind: str
    visits: int = 0
    seconds: float = 0.0
    inside: int = 0
    since: datetime | None = None
    failed: bool = False
    caught: bool = False
    output: Any = None

    def duration(self, now: datetime) -> float:
        """Return the seconds of all visits, up to `now` for a visit in progress."""
        return self.seconds + (max(0.0, (now - self.since).total_seconds()) if self.since else 0.0)


@dataclass
class History:
    """The states of an execution; `add` must only receive new events."""

    states: dict[str, State] = field(default_factory=dict)
    last_id: int = 0
    _parents: dict[int, int] = field(default_factory=dict)
    _entries: dict[int, str] = field(default_factory=dict)

    def add(self, events: Iterable[HistoryEventTypeDef]) -> None:
        """Process events in the order of their IDs."""
        for event in events:
            self.last_id = max(self.last_id, event["id"])
            self._parents[event["id"]] = event.get("previousEventId", 0)
            kind = event["type"]
            if kind.endswith("StateEntered"):
                self._enter(event)
            elif kind.endswith("StateExited"):
                self._leave(event)
            elif kind in ATTEMPT_SUCCEEDED or ATTEMPT_FAILED.match(kind):
                self._attempt(event)

    def end(self, when: datetime, succeeded: bool) -> None:
        """Close the states that are open when the execution ends, such as the state that failed."""
        for state in self.states.values():
            if state.since:
                state.seconds, state.since, state.inside = state.duration(when), None, 0
                state.failed = state.failed or not succeeded

    @property
    def current(self) -> list[State]:
        """The states in progress."""
        return [state for state in self.states.values() if state.since]

    @property
    def pipeline_execution(self) -> str | None:
        """The ARN of the run's pipeline execution; None until a state's output contains it."""
        pipeline = (self.find("pipeline") or {}).get("pipeline")
        return pipeline.get("executionArn") if isinstance(pipeline, dict) else None

    def find(self, *keys: str) -> dict[str, Any] | None:
        """Return the newest object with all these keys in the states' outputs, or None."""
        for state in reversed(self.states.values()):
            for found in _objects(state.output):
                if all(key in found for key in keys):
                    return found
        return None

    def _enter(self, event: HistoryEventTypeDef) -> None:
        name = event["stateEnteredEventDetails"]["name"]
        state = self.states.setdefault(name, State(name, event["type"].removesuffix("StateEntered")))
        state.visits += 1
        state.caught = False
        if state.kind == "Fail":
            state.failed = True
        else:
            state.inside += 1
            state.since = state.since or event["timestamp"]
        self._entries[event["id"]] = name

    def _leave(self, event: HistoryEventTypeDef) -> None:
        details = event["stateExitedEventDetails"]
        state = self.states.get(details["name"])
        if not state:
            return
        state.output = _parse(details.get("output"))
        state.inside = max(0, state.inside - 1)
        if not state.inside:
            state.seconds, state.since = state.duration(event["timestamp"]), None

    def _attempt(self, event: HistoryEventTypeDef) -> None:
        if state := self._owner(event["id"]):
            state.caught = event["type"] not in ATTEMPT_SUCCEEDED

    def _owner(self, event_id: int) -> State | None:
        """Return the state of an attempt by following event links, or without links the only open task."""
        step = event_id
        while step := self._parents.get(step, 0):
            if step in self._entries:
                return self.states[self._entries[step]]
        tasks = [state for state in self.current if state.kind == "Task"]
        return tasks[0] if len(tasks) == 1 else None


def new_events(sfn: SFNClient, execution: str, after: int) -> list[HistoryEventTypeDef]:
    """Return the events with IDs above `after`, oldest first; only the newest pages are read."""
    pages = sfn.get_paginator("get_execution_history").paginate(
        executionArn=execution, reverseOrder=True, PaginationConfig={"PageSize": PAGE_EVENTS}
    )
    events: list[HistoryEventTypeDef] = []
    for page in pages:
        events += [event for event in page["events"] if event["id"] > after]
        if not page["events"] or page["events"][-1]["id"] <= after + 1:
            break
    return events[::-1]


def utc_now() -> datetime:
    """Return the current time with a time zone, like the timestamps of AWS."""
    return datetime.now(UTC)


def _parse(document: str | None) -> Any:
    try:
        return json.loads(document or "null")
    except ValueError:
        return None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)
