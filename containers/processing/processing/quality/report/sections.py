"""Build the report's sections on model quality: confusion, curves, calibration, slices."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from processing.quality.assessment import Assessment
from processing.quality.calibration import calibrate
from processing.quality.curves import Ranking, rankings
from processing.quality.metrics import f_score, ratio
from processing.quality.predictions import Scores
from processing.quality.report.markup import keys, label, percent, section, short, table, text
from processing.quality.report.plots import (
    ACCENT,
    COLOURS,
    OTHER,
    SERIES,
    Line,
    heat_map,
    precision_recall,
    reliability,
    roc,
)
from processing.quality.slices import Slice

ROW_LABELS = 3  # a confusion matrix of this size fits beside a plot
TABLE_LABELS = 12  # a larger confusion matrix is a plot
PAIRS = 12  # pairs of labels that are confused most often
SLICES = 12  # per kind


class Ranked(NamedTuple):
    """A line of the ROC and precision-recall plots."""

    name: str
    colour: str
    ranking: Ranking
    width: float = 1.5


def quality(assessment: Assessment, champion: Scores | None) -> list[str]:
    """Return tables and plots, two per row, with a larger confusion matrix above them."""
    plots = [calibration_section(assessment, champion), *curves(assessment, champion)]
    labels = len(assessment.scores.labels)
    if labels > TABLE_LABELS:
        pairs = section("Confused most often", frequent_pairs(assessment))
        return [confusion_plot(assessment), grid([pairs, *plots])]
    matrix, by_label = confusion_table(assessment), label_table(assessment)
    if labels > ROW_LABELS:
        return [section("Confusion matrix", matrix), grid([section("Labels", by_label), *plots])]
    return [grid([section("Confusion matrix", matrix, by_label), *plots])]


def grid(cards: list[str]) -> str:
    """Put cards side by side, if there is room."""
    return f'<div class="two">{"".join(cards)}</div>'


def confusion_plot(assessment: Assessment) -> str:
    """Plot shares by actual and predicted label."""
    labels = assessment.scores.labels
    plot = heat_map(assessment.confusion, [short(name, 16) for name in labels])
    note = (
        '<p class="soft">The share of each actual label\'s rows with each prediction, from 0 (pale) to 1 '
        "(dark).</p>"
    )
    return section("Confusion matrix", note, f'<div class="wide">{plot}</div>')


def confusion_table(assessment: Assessment) -> str:
    """Return the confusion matrix; each cell has its rows and their share of the actual label's rows."""
    labels, counts = assessment.scores.labels, assessment.confusion
    rows = []
    for i, actual in enumerate(labels):
        cells = [f'<th class="left">{text(short(actual))} <small>actual</small></th>']
        for j, count in enumerate(counts[i]):
            part = count / max(counts[i].sum(), 1)
            colour, depth = ("--good", 60 * part) if i == j else ("--bad", min(200 * part, 60))
            shade = f"background: color-mix(in srgb, var({colour}) {depth:.0f}%, transparent)"
            cells.append(f'<td style="{shade}">{int(count):,}<small>{percent(part)}</small></td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{text(short(name))}<small>predicted</small></th>" for name in labels)
    return f'<table class="matrix"><tr><th></th>{head}</tr>{"".join(rows)}</table>'


def label_table(assessment: Assessment) -> str:
    """Return precision, recall and F1 of each label."""
    counts = assessment.confusion
    hits, actual, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    precision, recall = ratio(hits, predicted), ratio(hits, actual)
    columns = (precision, recall, f_score(1, precision, recall))
    rows = (
        (label(name), *(percent(float(column[i])) for column in columns))
        for i, name in enumerate(assessment.scores.labels)
    )
    return table(("Label", "Precision", "Recall", "F1"), rows)


def frequent_pairs(assessment: Assessment) -> str:
    """List the pairs of labels that are confused most often."""
    labels, counts = assessment.scores.labels, assessment.confusion.copy()
    totals = counts.sum(1)
    counts[range(len(labels)), range(len(labels))] = 0
    order = (-counts).ravel().argsort(kind="stable")[:PAIRS]
    pairs = [divmod(int(cell), len(labels)) for cell in order]
    rows = [
        (
            label(labels[i]),
            label(labels[j]),
            f"{int(counts[i, j]):,}",
            percent(counts[i, j] / totals[i]),
        )
        for i, j in pairs
        if counts[i, j]
    ]
    return table(("Actual", "Predicted", "Rows", "of the actual"), rows)


def curves(assessment: Assessment, champion: Scores | None) -> list[str]:
    """Plot ROC and precision-recall curves; empty if the test rows have one label only."""
    entries = ranked(assessment, champion)
    if not entries:
        return []
    areas = [
        (f"{short(entry.name)}: AUC {percent(entry.ranking.auc(), 2)}", entry.colour) for entry in entries
    ]
    precisions = [
        (
            f"{short(entry.name)}: average precision {percent(entry.ranking.average_precision(), 2)}",
            entry.colour,
        )
        for entry in entries
    ]
    roc_lines = [Line(entry.ranking.roc(), entry.colour, entry.width) for entry in reversed(entries)]
    lines = [Line(entry.ranking.precision_recall(), entry.colour, entry.width) for entry in reversed(entries)]
    return [
        section("ROC curve", roc(roc_lines), legend(areas)),
        section("Precision and recall", precision_recall(lines), legend(precisions)),
    ]


def ranked(assessment: Assessment, champion: Scores | None) -> list[Ranked]:
    """Return the plots' lines: both models for two labels, else one per label, the worst first."""
    labels = assessment.scores.labels
    if assessment.binary:
        models = [("Challenger" if champion else "Model", ACCENT, assessment.rankings)]
        if champion:
            models.append(("Champion", OTHER, rankings(champion)))
        return [Ranked(name, colour, each) for name, colour, ranks in models for each in ranks.values()]
    order = sorted(assessment.rankings.items(), key=lambda item: (item[1].auc(), item[0]))
    styles = [*((colour, 1.5) for colour in SERIES), *[(OTHER, 0.6)] * len(order)]
    return [
        Ranked(labels[i], colour, each, width)
        for (i, each), (colour, width) in zip(order, styles, strict=False)
    ]


def legend(entries: list[tuple[str, str]]) -> str:
    """Return a legend; labels without their own colour are summarized."""
    own = [(name, COLOURS.get(colour, colour)) for name, colour in entries[: len(SERIES)]]
    rest = len(entries) - len(own)
    return keys([*own, *([(f"{rest} labels that rank better", COLOURS[OTHER])] if rest else [])])


def calibration_section(assessment: Assessment, champion: Scores | None) -> str:
    """Plot the calibration of the probabilities."""
    measured = [(assessment.calibration, ACCENT)]
    names = [("Challenger" if champion else "Model", COLOURS[ACCENT])]
    if champion:
        measured.append((calibrate(champion), OTHER))
        names.append(("Champion", COLOURS[OTHER]))
    error = f"{100 * assessment.calibration.expected_error:.1f}"
    words = (
        '<p class="soft">On the dotted line, predictions with 90% are correct nine times in ten. The '
        f"model's probabilities are {error} points off on average.</p>"
    )
    return section("Calibration", words, reliability(measured), keys(names))


def slices_section(assessment: Assessment) -> str:
    """Return the accuracy per slice, on one scale."""
    groups: dict[str, list[Slice]] = {}
    for item in assessment.slices:
        groups.setdefault(item.by, []).append(item)
    shown = {by: items if len(items) <= SLICES else lowest(items) for by, items in groups.items()}
    floor = math.floor(20 * min(item.low for items in shown.values() for item in items)) / 20
    floor = min(floor, 0.95)
    rows: list[Sequence[str]] = []
    for by, items in shown.items():
        more = "" if len(items) == len(groups[by]) else f" – the lowest {SLICES} of {len(groups[by])}"
        rows.append((f"<b>{text(by).capitalize()}</b><small>{more}</small>", "", "", "", ""))
        rows.extend(slice_row(item, floor) for item in items)
    scale = f'<span class="mean">{floor:.0%} to 100%</span>'
    head = ("Slice", "Rows", "Accuracy", "95% interval", f'<span class="left">{scale}</span>')
    return section("Slices", table(head, rows))


def lowest(items: list[Slice]) -> list[Slice]:
    """Return the slices with the lowest upper bound: low with certainty, not only because of few rows."""
    return sorted(items, key=lambda item: (item.high, item.name))[:SLICES]


def slice_row(item: Slice, floor: float) -> Sequence[str]:
    """Return a slice, with its interval as a bar."""
    low, middle, high = (
        100 * (value - floor) / (1 - floor) for value in (item.low, item.accuracy, item.high)
    )
    bar = (
        f'<span class="bar"><i style="left: {low:.1f}%; width: {high - low:.1f}%"></i>'
        f'<b style="left: {middle:.1f}%"></b></span>'
    )
    name = f'<span title="{text(item.name)}">{text(short(item.name, 60))}</span>'
    return name, f"{item.rows:,}", percent(item.accuracy), f"{percent(item.low)} to {percent(item.high)}", bar
