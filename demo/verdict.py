"""Whether a run counts as a success, and the exit code that says so."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from demo.ask import Exchange
from demo.progress import Outcome, Progress

OK, FAILED, REJECTED = 0, 1, 3
COMPARED = ("improvement", "p_value")  # rows of the table that every comparison with a champion has
LOSSES = ("label_recall_loss", "weighted_f1_loss", "macro_f1_loss")
TEST_ROWS = ("test_rows", "test_rows_per_label")
# What a model that is good enough may fail by, if the champion is good enough.
AGAINST_CHAMPION = (*COMPARED, *LOSSES, *TEST_ROWS)


@dataclass(frozen=True)
class Finding:
    """The run, and what both endpoints said after it."""

    progress: Progress
    exchanges: Sequence[Exchange] = field(default=())
    expect_sense: bool = False

    @property
    def champion_kept(self) -> bool:
        """Whether the new model is good enough, but no better than the live one, which is good enough too.

        The live model was scored on the same rows: its accuracy is the new one's, less the improvement.
        """
        table = (self.progress.history.find("table", "approved") or {"table": []})["table"]
        rows = {row["metric"]: row for row in table}
        compared = {"accuracy", *COMPARED} <= rows.keys()
        if self.progress.outcome is not Outcome.REJECTED or not compared:
            return False
        if any(row["verdict"] != "pass" for name, row in rows.items() if name not in AGAINST_CHAMPION):
            return False
        champion = rows["accuracy"]["value"] - rows["improvement"]["value"]
        return bool(round(champion, 9) >= rows["accuracy"]["bound"])

    @property
    def faults(self) -> list[str]:
        """What keeps a run that leaves a good model live from counting as a success."""
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
    """Return 0 if a good model is live and both endpoints answer well, 3 for a rejected one, else 1."""
    if finding.progress.outcome is Outcome.DEPLOYED or finding.champion_kept:
        return FAILED if finding.faults else OK
    return REJECTED if finding.progress.outcome is Outcome.REJECTED else FAILED
