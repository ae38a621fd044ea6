"""A clause of the contract and its result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from localaws.container_check.errors import Broken, Finding, Noted, Unchecked

if TYPE_CHECKING:
    from localaws.container_check.bench import Bench

Check = Callable[["Bench"], str | None]


class Outcome(StrEnum):
    """The outcome of a clause's check."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOTED = "noted"
    UNCHECKED = "unchecked"


OUTCOMES = {Broken: Outcome.BROKEN, Noted: Outcome.NOTED, Unchecked: Outcome.UNCHECKED}


@dataclass(frozen=True)
class Result:
    """The result of a clause's check.

    Attributes:
        detail: the finding; may be empty if the clause holds.
        seconds: the duration of the check.
    """

    clause: "Clause"
    outcome: Outcome
    detail: str
    seconds: float


@dataclass(frozen=True)
class Clause:
    """A requirement on the container.

    Attributes:
        name: the stage and a short name, such as "training.exit".
        requirement: the clause in one sentence.
        remedy: what to do if the clause is violated.
        check: returns a detail to show, or raises a Finding.
    """

    name: str
    requirement: str
    remedy: str
    check: Check

    @property
    def stage(self) -> str:
        """The part of the contract that the clause belongs to."""
        return self.name.partition(".")[0]

    def judge(self, bench: "Bench") -> Result:
        """Check the clause and return its result."""
        started = time.monotonic()
        try:
            outcome, detail = Outcome.HOLDS, self.check(bench) or ""
        except Finding as finding:
            outcome, detail = OUTCOMES[type(finding)], str(finding)
        return Result(self, outcome, bench.with_aws_paths(detail), time.monotonic() - started)


def clause(name: str, requirement: str, remedy: str) -> Callable[[Check], Clause]:
    """Return a decorator that turns a check function into a clause."""
    return lambda check: Clause(name, requirement, remedy, check)
