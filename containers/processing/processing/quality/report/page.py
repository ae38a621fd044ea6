"""Build the report: one self-contained HTML file that a person reads in a minute.

The page holds the comments `<!-- latency -->` and `<!-- cost -->` once each, between two sections of <main>.
Scoring times and costs are known only after the jobs have ended, so EstimateCost replaces the comments by
HTML: `<section><h2>…</h2>…</section>`, without scripts and external resources (the page's
Content-Security-Policy blocks both). Texts, ids and labels are escaped, so no data can contain such a
comment.
"""

from dataclasses import dataclass
from pathlib import Path
from string import Template

from processing.quality.assessment import Assessment
from processing.quality.calibration import BINS
from processing.quality.comparison import Comparison, LabelRecall
from processing.quality.dataset_summary import Summary
from processing.quality.mistakes import Disagreement, Mistake
from processing.quality.predictions import Scores
from processing.quality.report.dataset import dataset
from processing.quality.report.markup import between, label, percent, points, section, short, table, text
from processing.quality.report.plots import differences
from processing.quality.report.sections import quality, slices_section
from processing.quality.significance import TEST

TEMPLATE = Path(__file__).with_name("report.html")
TABLE_LABELS = 12  # more labels are not listed
NAMES = {
    "accuracy": "Accuracy",
    "weighted_precision": "Weighted precision",
    "weighted_f1": "Weighted F1",
    "macro_f1": "Macro F1",
    "auc": "AUC",
    "weighted_auc": "Weighted AUC",
}


@dataclass(frozen=True)
class Champion:
    """The champion, compared with the challenger on the rows that both can answer."""

    scores: Scores
    comparison: Comparison
    gained: list[Mistake]  # the champion's mistakes that the challenger gets right
    lost: list[Mistake]  # the challenger's mistakes that the champion gets right
    different: list[Disagreement]  # new rows that both answer differently, the most different first
    new_rows: int  # test rows of the files that this run ingested


@dataclass(frozen=True)
class Page:
    """The content of the report."""

    summary: Summary
    assessment: Assessment
    worst: list[Mistake]
    note: str = ""  # where the champion was found, or a sentence that there is none
    champion: Champion | None = None


def render(page: Page) -> str:
    """Render the whole page."""
    title = "Challenger against champion" if page.champion else "Model quality"
    parts = [
        f'<header><h1>{title}</h1><span class="soft">{subtitle(page)}</span></header>',
        verdict(page),
        tiles(page.assessment),
        *(model_comparison(page.champion) if page.champion else []),
        dataset(page.summary),
        *quality(page.assessment, page.champion.scores if page.champion else None),
        slices_section(page.assessment),
        mistakes("Worst mistakes", "The wrong predictions with the highest probability.", page.worst),
        *([*exclusive_rows(page.champion), disagreements(page.champion)] if page.champion else []),
        "<!-- latency -->",
        "<!-- cost -->",
        method(page.assessment),
    ]
    return Template(TEMPLATE.read_text("utf-8")).substitute(title=title, body="\n".join(parts))


def subtitle(page: Page) -> str:
    """Describe the evaluated data and model."""
    scores = page.assessment.scores
    rows, labels = len(scores.actual), len(scores.labels)
    found = f" ({text(page.note)})" if page.note else ""
    live = f"; champion {text(page.champion.comparison.champion_model)}{found}" if page.champion else ""
    return f"{rows:,} test rows, {labels} labels; data as of {text(page.summary.as_of)}{live}"


def verdict(page: Page) -> str:
    """Summarize the page in two sentences."""
    if page.champion is None:
        note = f"<p>{text(page.note)}</p>" if page.note else ""
        accuracy, constant = (
            figures["accuracy"]
            for figures in (page.assessment.multiclass, page.assessment.multiclass_constant)
        )
        return (
            f'<section class="verdict"><p><b>{percent(accuracy.value)} of the predictions are correct</b> '
            f"(95% interval {between(accuracy)}). Always predicting the most frequent label is correct for "
            f"{percent(constant.value)} ({TEST} test: {chance(page.assessment.constant.p_value)}).</p>"
            f"{note}</section>"
        )
    comparison = page.champion.comparison
    figure = comparison.main.difference
    kind = "better" if figure.low > 0 else "worse" if figure.high < 0 else ""
    words = {
        "better": "The challenger is better than the champion",
        "worse": "The challenger is worse than the champion",
        "": "The difference between challenger and champion is not statistically significant",
    }[kind]
    return (
        f'<section class="verdict {kind}"><p><b>{words}:</b> {points(figure.value)} points of accuracy '
        f"(95% interval {points(figure.low)} to {points(figure.high)}; {chance(comparison.p_value)}). "
        "The workflow decides whether that is enough to deploy.</p></section>"
    )


def tiles(assessment: Assessment) -> str:
    """Return the headline figures."""
    figures = [
        ("Accuracy", assessment.multiclass["accuracy"]),
        ("Weighted F1", assessment.multiclass["weighted_f1"]),
    ]
    if assessment.auc:
        figures.append(("AUC" if assessment.binary else "Weighted AUC", assessment.auc))
    tiles = [(name, percent(figure.value, 2), between(figure)) for name, figure in figures]
    calibration = assessment.calibration
    tiles.append(
        ("Calibration error", percent(calibration.expected_error), f"Brier score {calibration.brier:.4f}")
    )
    cells = (
        f'<div class="tile"><span class="soft">{name}</span><b>{value}</b><small>{more}</small></div>'
        for name, value, more in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def chance(p_value: float) -> str:
    """Format a p-value."""
    return "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"


def model_comparison(champion: Champion) -> list[str]:
    """Compare champion and challenger, metric by metric."""
    comparison = champion.comparison
    metrics = {NAMES[name]: metric for name, metric in comparison.metrics.items() if name in NAMES}
    rows = [
        (
            name,
            percent(metric.challenger, 2),
            percent(metric.champion, 2),
            f"<b>{points(metric.difference.value)}</b>",
            f"{points(metric.difference.low)} to {points(metric.difference.high)}",
        )
        for name, metric in metrics.items()
    ]
    estimates = [metric.difference for metric in metrics.values()]
    both = int((champion.scores.right).sum()) - comparison.champion_only_right
    neither = comparison.rows - both - comparison.challenger_only_right - comparison.champion_only_right
    counts = (
        f"<p>Of {comparison.rows:,} rows, both models get {both:,} right and neither {neither:,}. "
        f"<b>Only the challenger gets {comparison.challenger_only_right:,} right, only the champion "
        f"{comparison.champion_only_right:,}.</b> {TEST} test: {chance(comparison.p_value)}.</p>"
    )
    plot = differences(
        list(metrics), *([100 * getattr(e, side) for e in estimates] for side in ("value", "low", "high"))
    )
    head = ("Metric", "Challenger", "Champion", "Difference in points", "95% interval, paired")
    return [
        section(
            "Champion against challenger",
            left_out(comparison),
            counts,
            table(head, rows),
            f'<div class="wide">{plot}</div>',
            recall_table(comparison.recalls),
        )
    ]


def left_out(comparison: Comparison) -> str:
    """List the labels whose rows are not compared."""
    if not comparison.left_out:
        return ""
    named = [
        f"{label(item.label)} ({item.rows:,} rows, unknown to {item.unknown_to})"
        for item in comparison.left_out[:TABLE_LABELS]
    ]
    named += ["and others"] if len(comparison.left_out) > TABLE_LABELS else []
    return f"<p>Compared on the rows whose labels both models know. Left out: {', '.join(named)}.</p>"


def disagreements(champion: Champion) -> str:
    """List new rows that the models answer differently."""
    title = "New rows on which the models disagree most"
    if not champion.different:
        rows = f"the {champion.new_rows:,} new test rows" if champion.new_rows else "no new test rows"
        return section(title, f'<p class="soft">None, of {rows}.</p>')
    articles = (
        f"<article>{label(item.actual, 'right')}: the challenger answers {label(item.challenger)} with "
        f"<b>{percent(item.challenger_probability)}</b>, the champion {label(item.champion)} with "
        f"<b>{percent(item.champion_probability)}</b> <small>· {text(short(item.id, 80))} · "
        f"{text(short(item.source, 80))}</small><p>{text(item.text)}</p></article>"
        for item in champion.different
    )
    words = f"Of the {champion.new_rows:,} test rows of the files that this run ingested."
    return section(title, f'<p class="soft">{words}</p>', *articles)


def recall_table(recalls: list[LabelRecall]) -> str:
    """Return the recall of each label by both models, the likeliest losses first."""
    first = sorted(recalls, key=lambda item: (item.loss_p_value, item.label))[:TABLE_LABELS]
    rows = (
        (
            label(item.label),
            f"{item.rows:,}",
            percent(item.challenger),
            percent(item.champion),
            chance(item.loss_p_value),
        )
        for item in first
    )
    rest = len(recalls) - len(first)
    note = f"<p><small>{rest:,} more labels are less likely to have lost.</small></p>" if rest else ""
    return table(("Label", "Rows", "Recall, challenger", "Recall, champion", "Loss, adjusted"), rows) + note


def exclusive_rows(champion: Champion) -> list[str]:
    """List rows that only one of the models gets right."""
    comparison = champion.comparison
    return [
        mistakes(
            f"Only the challenger gets these right ({comparison.challenger_only_right:,})",
            "The champion's wrong predictions with the highest probability.",
            champion.gained,
        ),
        mistakes(
            f"Only the champion gets these right ({comparison.champion_only_right:,})",
            "The challenger's wrong predictions with the highest probability.",
            champion.lost,
        ),
    ]


def mistakes(title: str, words: str, items: list[Mistake]) -> str:
    """List wrong predictions."""
    if not items:
        return section(title, '<p class="soft">None.</p>')
    articles = (
        f"<article>{label(item.actual, 'right')} was classified as {label(item.predicted, 'wrong')} with "
        f"<b>{percent(item.probability)}</b> <small>(its own label had {percent(item.actual_probability)}) "
        f"· {text(short(item.id, 80))}</small><p>{text(item.text)}</p></article>"
        for item in items
    )
    return section(title, f'<p class="soft">{words}</p>', *articles)


def method(assessment: Assessment) -> str:
    """Describe the methods."""
    scores = assessment.scores
    if scores.positive is not None:
        rule = (
            f"{label(scores.labels[scores.positive])} is the positive label: of two, the last in the "
            "alphabet. AUC, the curves and the Brier score are about its probability."
        )
    else:
        rule = (
            "AUC is each label's against the rest, weighted by its rows; the Brier score is summed over the "
            "labels."
        )
    return section(
        "How this was measured",
        f"<p>{rule}</p>"
        "<p>Intervals are percentiles over resampled test rows (bootstrap, seeded); those of slices are "
        "Wilson's. Precision, recall and F-scores are each label's, weighted by its rows. Calibration error: "
        f"the mean gap between predicted probability and observed accuracy, over "
        f"{BINS} equal bins.</p>",
    )
