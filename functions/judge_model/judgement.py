"""The judgement: one row per threshold that a model has to meet, and a summary."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, FiniteFloat

METRICS = "multiclass_classification_metrics"  # Model Monitor's name for the group
DECIMALS = 9  # of a difference of row counts; further digits are rounding errors
MAX_SUMMARY = 1024  # characters that a model package's ApprovalDescription takes


class Judgement(NamedTuple):
    """A row of the table: a measured value and its bound."""

    metric: str
    value: float | None
    relation: Literal[">=", "<="]
    bound: float
    verdict: Literal["pass", "fail", "missing"]

    def sentence(self) -> str:
        """Return the row in words."""
        if self.value is None:
            return f"{self.metric} is missing"
        relation = "is at least" if self.verdict == "pass" else "is below"
        return f"{self.metric} {self.value:.4f} {relation} {self.bound:g}"


class Comparison(BaseModel):
    """The new model and the champion on the same rows, as the step CompareModels measured them.

    `p_value` is the one-sided p-value of a paired test.
    """

    metric: str
    challenger: FiniteFloat
    champion: FiniteFloat
    difference: FiniteFloat
    p_value: FiniteFloat


def judge_bound(metric: str, statistics: dict[str, Any], bound: float) -> Judgement:
    """Compare one metric with its bound; a value that is not a finite number counts as missing."""
    value = statistics.get(METRICS, {}).get(metric, {}).get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Judgement(metric, None, ">=", bound, "missing")
    return Judgement(metric, value, ">=", bound, "pass" if value >= bound else "fail")


def judge_comparison(comparison: Comparison, margin: float, max_p_value: float) -> list[Judgement]:
    """Judge the margin over the champion, and the p-value of that difference."""
    difference, chance = round(comparison.difference, DECIMALS), comparison.p_value
    return [
        Judgement("improvement", difference, ">=", margin, "pass" if difference >= margin else "fail"),
        Judgement("p_value", chance, "<=", max_p_value, "pass" if chance <= max_p_value else "fail"),
    ]


def summarize(table: list[Judgement], comparison: Comparison | None, champion: str | None, note: str) -> str:
    """Return one line with all reasons to approve, or all reasons to reject.

    Without a champion it says that the model was not compared, and why: `note`.
    """
    approved = all(row.verdict == "pass" for row in table)
    rows = {row.metric: row for row in table if approved or row.verdict != "pass"}
    paired = [rows.pop(metric) for metric in ("improvement", "p_value") if metric in rows]
    reasons = [row.sentence() for row in rows.values()]
    if paired and comparison and champion:
        reasons.append(compare(comparison, paired[0], champion.partition("/")[2] or champion))
    summary = f"{'Approved' if approved else 'Rejected'}: {' and '.join(reasons)}."
    if champion is None:
        summary += f" Not compared with a champion: {note}."
    return summary if len(summary) <= MAX_SUMMARY else f"{summary[: MAX_SUMMARY - 1]}…"


def compare(comparison: Comparison, decisive: Judgement, champion: str) -> str:
    """Return the comparison in words; `decisive` is the first of its rows that decided."""
    metric, value = comparison.metric, f"{comparison.challenger:.4f}"
    other = f"champion {champion}'s {comparison.champion:.4f}"
    numbers = f"difference {comparison.difference:+.4f}, p {comparison.p_value:.4f}"
    if decisive.metric == "improvement" and decisive.verdict == "fail":
        return f"{metric} {value} is not {decisive.bound:g} above {other} ({numbers})"
    gap = round(comparison.difference, DECIMALS)
    position = "above" if gap > 0 else "below" if gap < 0 else "equal to"
    chance = (
        "" if decisive.verdict == "pass" else f", which may be chance: the bound of p is {decisive.bound:g}"
    )
    return f"{metric} {value} is {position} {other} ({numbers}){chance}"
