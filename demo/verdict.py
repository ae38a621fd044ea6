"""Decide whether a run is a success, and its exit code."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from demo.predictions import Exchange
from demo.progress import Outcome, Progress

OK, FAILED, REJECTED = 0, 1, 3
COMPARED = ("improvement", "p_value")  # rows of the table that every comparison with a champion has
LOSSES = ("label_recall_loss", "weighted_f1_loss", "macro_f1_loss")
TEST_ROWS = ("test_rows", "test_rows_per_label")
# What a model that is good enough may fail by, if the champion is good enough.
AGAINST_CHAMPION = (*COMPARED, *LOSSES, *TEST_ROWS)


@dataclass(frozen=True)
class Finding:
    """A run and the predictions of both endpoints after it."""

    progress: Progress
    exchanges: Sequence[Exchange] = field(default=())
    expect_sense: bool = False

    @property
    def champion_kept(self) -> bool:
        """Whether both models meet the thresholds, but the new one is not better than the live one.

        Both models were scored on the same rows: the live model's accuracy is that of the new model minus the
        improvement.
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
        """The problems that make a run with a good live model a failure."""
        down = [
            f"Endpoint {name} is {status}, not InService."
            for name, status in self.progress.endpoints.items()
            if status != "InService"
        ]
        if not self.exchanges:
            return [*down, "The endpoints were not invoked."]
        differ = [each for each in self.exchanges if not each.agree]
        wrong = [each for each in self.exchanges if self.expect_sense and not each.sensible]
        return [
            *down,
            *(f"The endpoints disagree on {each.review.text!r}." for each in differ),
            *(f"The label of {each.review.text!r} is {each.real_time.label}." for each in wrong),
        ]


def exit_code(finding: Finding) -> int:
    """Return 0 if a good model is live without faults, 3 if the new model was rejected, otherwise 1."""
    if finding.progress.outcome is Outcome.DEPLOYED or finding.champion_kept:
        return FAILED if finding.faults else OK
    return REJECTED if finding.progress.outcome is Outcome.REJECTED else FAILED
