"""An execution's history, as states with durations and outputs."""

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
    """One state of the workflow, all its visits together; a Map may be inside it several times at once."""

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
        """Return the seconds spent inside, up to now when it is still open."""
        return self.seconds + (max(0.0, (now - self.since).total_seconds()) if self.since else 0.0)


@dataclass
class History:
    """What the events seen so far tell; feed it new events only."""

    states: dict[str, State] = field(default_factory=dict)
    last_id: int = 0
    _parents: dict[int, int] = field(default_factory=dict)
    _entries: dict[int, str] = field(default_factory=dict)

    def add(self, events: Iterable[HistoryEventTypeDef]) -> None:
        """Take events in the order of their ids."""
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
        """Close what an ended execution left open: a Fail state, or where an error struck."""
        for state in self.states.values():
            if state.since:
                state.seconds, state.since, state.inside = state.duration(when), None, 0
                state.failed = state.failed or not succeeded

    @property
    def current(self) -> list[State]:
        """The states that are open now."""
        return [state for state in self.states.values() if state.since]

    @property
    def pipeline_execution(self) -> str | None:
        """The ARN of the run's own pipeline execution, once a state's output names it."""
        pipeline = (self.find("pipeline") or {}).get("pipeline")
        return pipeline.get("executionArn") if isinstance(pipeline, dict) else None

    def find(self, *keys: str) -> dict[str, Any] | None:
        """Return the newest object among the states' outputs that has all these keys."""
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
        """Walk back to the state that an attempt belongs to; without links, take the only open task."""
        step = event_id
        while step := self._parents.get(step, 0):
            if step in self._entries:
                return self.states[self._entries[step]]
        tasks = [state for state in self.current if state.kind == "Task"]
        return tasks[0] if len(tasks) == 1 else None


def new_events(sfn: SFNClient, execution: str, after: int) -> list[HistoryEventTypeDef]:
    """Return the events with ids above `after`, oldest first, reading the newest pages only."""
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
    """Return the time as AWS's timestamps have it, with a zone."""
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
