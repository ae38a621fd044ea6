"""The judgement: one row per bound that a model has to keep, a verdict, and a summary."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from judge_model.measurements import Comparison, Constant, TestRows

METRICS = "multiclass_classification_metrics"  # Model Monitor's name for the group
DECIMALS = 9  # of a difference of row counts; further digits are rounding errors
MAX_SUMMARY = 1024  # characters that a model package's ApprovalDescription takes
MAX_LABEL = 40  # characters of a label in the summary
NAMED_LABELS = 5  # labels with too few rows that the summary names
F1_SCORES = ("weighted_f1", "macro_f1")

APPROVED, REJECTED, TOO_FEW_ROWS = "model approved", "model rejected", "not enough test rows"


class Judgement(NamedTuple):
    """A row of the table: a measured value and its bound.

    The verdict `few rows` is that of a first model: its rows are too few for the bound, which then does not
    count, because a model that may be bad is better than none.
    """

    metric: str
    value: float | None
    relation: Literal[">=", "<="]
    bound: float
    verdict: Literal["pass", "fail", "missing", "few rows"]
    sentence: str = ""  # the row in words; not part of the table

    @property
    def passes(self) -> bool:
        """Whether the model can be deployed by this row."""
        return self.verdict in ("pass", "few rows")

    def row(self) -> dict[str, Any]:
        """Return the row of the table."""
        row = self._asdict()
        del row["sentence"]
        return row


def judge(
    metric: str, value: float, relation: Literal[">=", "<="], bound: float, sentence: str = ""
) -> Judgement:
    """Compare a value with its bound."""
    good = value >= bound if relation == ">=" else value <= bound
    return Judgement(metric, value, relation, bound, "pass" if good else "fail", sentence)


def judge_bound(metric: str, statistics: dict[str, Any], bound: float) -> Judgement:
    """Compare one metric with its bound; a value that is not a finite number counts as missing."""
    value = statistics.get(METRICS, {}).get(metric, {}).get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Judgement(metric, None, ">=", bound, "missing", f"{metric} is missing")
    relation = "is at least" if value >= bound else "is below"
    return judge(metric, value, ">=", bound, f"{metric} {value:.4f} {relation} {bound:g}")


def judge_constant(constant: Constant, max_p_value: float) -> Judgement:
    """Judge whether the model is better than always answering the most frequent label."""
    position = "" if constant.p_value <= max_p_value else "not significantly "
    answer = f"always answering {shown(constant.label)}, which has {constant.accuracy:.4f}"
    sentence = f"it is {position}better than {answer} (p {constant.p_value:.4f})"
    return judge("constant_p_value", constant.p_value, "<=", max_p_value, sentence)


def judge_rows(rows: TestRows, least: int, least_per_label: int) -> list[Judgement]:
    """Judge whether the test rows are enough to judge by, in all and for each label."""
    missing = least - rows.rows
    sentence = f"of {rows.rows:,} test rows, {missing:,} more are needed"
    few = {label: count for label, count in rows.labels.items() if count < least_per_label}
    named = [
        f"{shown(label)} has {count:,}, {least_per_label - count:,} more are needed"
        for label, count in sorted(few.items(), key=lambda item: (item[1], item[0]))[:NAMED_LABELS]
    ]
    named += [f"{len(few) - NAMED_LABELS:,} more labels have too few"] if len(few) > NAMED_LABELS else []
    fewest = min(rows.labels.values(), default=0)
    return [
        judge("test_rows", rows.rows, ">=", least, sentence),
        judge("test_rows_per_label", fewest, ">=", least_per_label, "; ".join(named)),
    ]


def judge_comparison(
    comparison: Comparison, champion: str, margin: float, max_p_value: float, min_loss_p_value: float
) -> list[Judgement]:
    """Judge the margin over the champion, the p-value of that difference, and every loss."""
    difference, chance = round(comparison.difference, DECIMALS), comparison.p_value
    improvement = judge("improvement", difference, ">=", margin)
    p_value = judge("p_value", chance, "<=", max_p_value)
    decisive = improvement if improvement.verdict == "fail" else p_value
    words = compare(comparison, decisive, champion)
    rows = [improvement._replace(sentence=words), p_value._replace(sentence=words)]
    worst = min(comparison.recalls, key=lambda recall: recall.loss_p_value)
    lost = (
        f"the recall of {shown(worst.label)}, {worst.challenger:.4f}, is significantly below the champion's"
    )
    sentence = f"{lost} {worst.champion:.4f} (p {worst.loss_p_value:.4f})"
    rows.append(judge("label_recall_loss", worst.loss_p_value, ">=", min_loss_p_value, sentence))
    for name in F1_SCORES:
        metric = comparison.metrics[name]
        lost = f"{name} {metric.challenger:.4f} is significantly below the champion's {metric.champion:.4f}"
        sentence = f"{lost} (p {metric.loss_p_value:.4f})"
        rows.append(judge(f"{name}_loss", metric.loss_p_value, ">=", min_loss_p_value, sentence))
    return rows


def compare(comparison: Comparison, decisive: Judgement, champion: str) -> str:
    """Return the comparison in words; `decisive` is the first of its rows that decided."""
    metric, value = comparison.metric, f"{comparison.challenger:.4f}"
    other = f"champion {champion}'s {comparison.champion:.4f}"
    numbers = f"difference {comparison.difference:+.4f}, p {comparison.p_value:.4f}"
    if decisive.metric == "improvement":
        return f"{metric} {value} is not {decisive.bound:g} above {other} ({numbers})"
    gap = round(comparison.difference, DECIMALS)
    position = "above" if gap > 0 else "below" if gap < 0 else "equal to"
    chance = (
        "" if decisive.verdict == "pass" else f", which may be chance: the bound of p is {decisive.bound:g}"
    )
    return f"{metric} {value} is {position} {other} ({numbers}){chance}"


def describe_left_out(comparison: Comparison) -> str:
    """Return on which rows the models were compared, or nothing if on all."""
    if not comparison.left_out:
        return ""
    named = [
        f"{shown(item.label)} ({item.rows:,} rows, unknown to {item.unknown_to})"
        for item in comparison.left_out[:NAMED_LABELS]
    ]
    more = len(comparison.left_out) - NAMED_LABELS
    named += [f"{more:,} more labels"] if more > 0 else []
    return (
        f" Compared on the {comparison.rows:,} test rows whose labels both models know, without "
        f"{', '.join(named)}."
    )


def excuse_first_model(table: list[Judgement]) -> list[Judgement]:
    """Return the table of a first model with few rows: what takes many rows does not count."""
    needs_rows = ("test_rows", "test_rows_per_label", "constant_p_value")
    return [
        row._replace(verdict="few rows") if row.metric in needs_rows and row.verdict == "fail" else row
        for row in table
    ]


def has_few_rows(table: Iterable[Judgement]) -> bool:
    """Return whether the test rows are too few to judge by."""
    return any(row.metric.startswith("test_rows") and row.verdict != "pass" for row in table)


def decide(table: list[Judgement]) -> str:
    """Return the verdict."""
    if all(row.passes for row in table):
        return APPROVED
    return TOO_FEW_ROWS if has_few_rows(table) else REJECTED


def summarize(table: list[Judgement], rows: TestRows, remark: str) -> str:
    """Return one line with all reasons to approve, or all reasons not to.

    Args:
        table: the judged rows.
        rows: the test rows.
        remark: a sentence about the comparison, after a blank; or nothing.
    """
    verdict = decide(table)
    counted = [row for row in table if row.metric.startswith("test_rows")]
    judged = [row for row in table if row not in counted and row.verdict != "few rows"]
    if verdict == APPROVED:
        first = f" as the first model, judged on {rows.rows:,} rows only" if has_few_rows(table) else ""
        # A loss that is not significant is no reason.
        reasons = sentences(row for row in judged if not row.metric.endswith("_loss"))
        summary = f"Approved{first}: {reasons}."
    elif verdict == TOO_FEW_ROWS:
        summary = f"Not enough test rows: {sentences((row for row in counted if not row.passes), '; ')}."
        if reasons := sentences(row for row in judged if not row.passes):
            summary += f" Also, {reasons}."
    else:
        summary = f"Rejected: {sentences(row for row in judged if not row.passes)}."
    summary += remark
    return summary if len(summary) <= MAX_SUMMARY else f"{summary[: MAX_SUMMARY - 1]}…"


def sentences(rows: Iterable[Judgement], between: str = " and ") -> str:
    """Return the rows in words, each sentence once."""
    return between.join(dict.fromkeys(row.sentence for row in rows))


def shown(label: str) -> str:
    """Return a label for a line of the registry, which takes no line break."""
    line = "".join(character if character.isprintable() else " " for character in label)
    return line if len(line) <= MAX_LABEL else f"{line[: MAX_LABEL - 1]}…"
