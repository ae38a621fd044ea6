"""Whether a run counts as a success, and the exit code that says so."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from demo.ask import Exchange
from demo.progress import Outcome, Progress

OK, FAILED, REJECTED = 0, 1, 3


@dataclass(frozen=True)
class Finding:
    """The run, and what both endpoints said after it."""

    progress: Progress
    exchanges: Sequence[Exchange] = field(default=())
    expect_sense: bool = False

    @property
    def faults(self) -> list[str]:
        """What keeps a deployed run from counting as a success."""
        down = [
            f"Endpoint {name} is {status}, not InService."
            for name, status in self.progress.endpoints.items()
            if status != "InService"
        ]
        if not self.exchanges:
            return [*down, "The endpoints were asked nothing."]
        differ = [each for each in self.exchanges if not each.agree]
        wrong = [each for each in self.exchanges if self.expect_sense and not each.sensible]
        return [
            *down,
            *(f"The endpoints disagree on {each.review.text!r}." for each in differ),
            *(f"{each.review.text!r} was called {each.real_time.label}." for each in wrong),
        ]


def exit_code(finding: Finding) -> int:
    """Return 0 for a deployed model whose endpoints both answer well, 3 for a rejected one, else 1."""
    if finding.progress.outcome is Outcome.REJECTED:
        return REJECTED
    if finding.progress.outcome is Outcome.DEPLOYED and not finding.faults:
        return OK
    return FAILED
