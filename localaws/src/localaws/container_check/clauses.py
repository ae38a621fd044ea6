"""A clause of the contract, and what became of it."""

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
    """What became of a clause."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOTED = "noted"
    UNCHECKED = "unchecked"


OUTCOMES = {Broken: Outcome.BROKEN, Noted: Outcome.NOTED, Unchecked: Outcome.UNCHECKED}


@dataclass(frozen=True)
class Result:
    """What became of a clause.

    Attributes:
        detail: what was found; of a clause that holds, perhaps nothing.
        seconds: how long the check took.
    """

    clause: "Clause"
    outcome: Outcome
    detail: str
    seconds: float


@dataclass(frozen=True)
class Clause:
    """Something that the container has to do.

    Attributes:
        name: a stage and a word, such as "training.exit".
        says: the clause, in one sentence.
        remedy: what to do where it is broken.
        check: gives a detail worth showing, or raises a Finding.
    """

    name: str
    says: str
    remedy: str
    check: Check

    @property
    def stage(self) -> str:
        """The part of the contract that it belongs to."""
        return self.name.partition(".")[0]

    def judge(self, bench: "Bench") -> Result:
        """Check it."""
        started = time.monotonic()
        try:
            outcome, detail = Outcome.HOLDS, self.check(bench) or ""
        except Finding as finding:
            outcome, detail = OUTCOMES[type(finding)], str(finding)
        return Result(self, outcome, bench.as_seen(detail), time.monotonic() - started)


def clause(name: str, says: str, remedy: str) -> Callable[[Check], Clause]:
    """Make a clause of the function that checks it."""
    return lambda check: Clause(name, says, remedy, check)
