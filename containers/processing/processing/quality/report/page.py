"""The report: one HTML file that needs nothing else and that a person reads in a minute.

Contract for who comes later: the page holds the comments `<!-- latency -->` and `<!-- cost -->` once each,
between two sections of <main>. What scoring took and what the run costs is known only after the jobs have
ended, so EstimateCost replaces them by HTML: `<section><h2>…</h2>…</section>`, without scripts and without
anything from elsewhere (the page's Content-Security-Policy would block both). Texts, ids and labels are
escaped, so no data can hold a marker.
"""

from dataclasses import dataclass
from pathlib import Path
from string import Template

from processing.quality.assessment import Assessment
from processing.quality.calibration import BINS
from processing.quality.comparison import TEST, Comparison
from processing.quality.dataset_summary import Summary
from processing.quality.mistakes import Mistake
from processing.quality.predictions import Scores
from processing.quality.report.markup import between, label, percent, points, section, short, table, text
from processing.quality.report.plots import differences
from processing.quality.report.sections import quality, slices_section

TEMPLATE = Path(__file__).with_name("report.html")
TABLE_LABELS = 12  # more are not named in the dataset's table
NAMED_FILES = 10  # quarantined files that are named
NAMES = {
    "accuracy": "Accuracy",
    "weighted_precision": "Weighted precision",
    "weighted_f1": "Weighted F1",
    "auc": "AUC",
    "weighted_auc": "Weighted AUC",
}


@dataclass(frozen=True)
class Champion:
    """The live model against the one that the page is about."""

    scores: Scores
    comparison: Comparison
    gained: list[Mistake]  # the champion's, that the challenger gets right
    lost: list[Mistake]  # the challenger's, that the champion gets right


@dataclass(frozen=True)
class Page:
    """What the report tells."""

    summary: Summary
    assessment: Assessment
    worst: list[Mistake]
    champion: Champion | None = None


def render(page: Page) -> str:
    """The whole page."""
    title = "Challenger against champion" if page.champion else "Model quality"
    parts = [
        f'<header><h1>{title}</h1><span class="soft">{subtitle(page)}</span></header>',
        verdict(page),
        tiles(page.assessment),
        *(model_comparison(page.champion) if page.champion else []),
        dataset(page.summary),
        *quality(page.assessment, page.champion.scores if page.champion else None),
        slices_section(page.assessment),
        mistakes("Worst mistakes", "The wrong answers that the model was surest of.", page.worst),
        *(exclusive_rows(page.champion) if page.champion else []),
        "<!-- latency -->",
        "<!-- cost -->",
        method(page.assessment),
    ]
    return Template(TEMPLATE.read_text("utf-8")).substitute(title=title, body="\n".join(parts))


def subtitle(page: Page) -> str:
    """What was judged."""
    scores = page.assessment.scores
    rows, labels = len(scores.actual), len(scores.labels)
    live = f"; champion {text(page.champion.comparison.champion_model)}" if page.champion else ""
    return f"{rows:,} test rows, {labels} labels; data as of {text(page.summary.as_of)}{live}"


def verdict(page: Page) -> str:
    """The page in two sentences."""
    if page.champion is None:
        accuracy, constant = (
            figures["accuracy"]
            for figures in (page.assessment.multiclass, page.assessment.multiclass_constant)
        )
        return (
            f'<section class="verdict"><p><b>{percent(accuracy.value)} of the answers are right</b> '
            f"(95% interval {between(accuracy)}). Always answering the most frequent label would be right in "
            f"{percent(constant.value)}.</p></section>"
        )
    comparison = page.champion.comparison
    figure = comparison.main.difference
    kind = "better" if figure.low > 0 else "worse" if figure.high < 0 else ""
    words = {
        "better": "The challenger is better than the champion",
        "worse": "The challenger is worse than the champion",
        "": "No difference between challenger and champion can be told from chance",
    }[kind]
    return (
        f'<section class="verdict {kind}"><p><b>{words}:</b> {points(figure.value)} points of accuracy '
        f"(95% interval {points(figure.low)} to {points(figure.high)}; {chance(comparison.p_value)}). "
        "Whether that is enough to go live is for the workflow to judge.</p></section>"
    )


def tiles(assessment: Assessment) -> str:
    """The headline figures."""
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
    """A p-value in as many digits as one reads."""
    return "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"


def model_comparison(champion: Champion) -> list[str]:
    """Champion against challenger, metric by metric."""
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
        section("Champion against challenger", counts, table(head, rows), f'<div class="wide">{plot}</div>')
    ]


def dataset(summary: Summary) -> str:
    """The data that the model was made with."""
    labels = sorted({name for part in summary.parts for name in part.labels})
    shown = labels if len(labels) <= TABLE_LABELS else []
    rows = [
        (
            text(part.name),
            f"{part.rows:,}",
            *(share(part.labels.get(name, 0), part.rows) for name in shown),
        )
        for part in summary.parts
    ]
    more = "" if shown else f"<p><small>{len(labels)} labels; their balance is in dataset.json.</small></p>"
    facts = (
        f"<dl><dt>As of</dt><dd>{text(summary.as_of)}</dd>"
        f"<dt>Content hash</dt><dd><code>{text(summary.sha256)}</code></dd>"
        f"<dt>Sources</dt><dd>{len(summary.sources):,} files</dd>"
        f"<dt>Left out of train</dt><dd>{summary.dropped:,} texts that are tested on</dd>"
        f"<dt>Ingested by this run</dt><dd>{summary.ingested:,} records</dd>"
        f"<dt>Quarantined</dt><dd>{summary.quarantined_rows:,} rows{quarantined_files(summary)}</dd></dl>"
    )
    query = f"<details><summary>Query</summary><pre>{text(summary.query)}</pre></details>"
    head = ("Split", "Rows", *(text(short(name, 16)) for name in shown))
    return section("Dataset", facts, table(head, rows), more, query)


def quarantined_files(summary: Summary) -> str:
    """The files that were quarantined as a whole."""
    named = list(summary.quarantined_files.items())
    lines = [f"{text(short(key, 60))}: {text(short(reason, 160))}" for key, reason in named[:NAMED_FILES]]
    lines += [f"and {len(named) - NAMED_FILES:,} more files"] if len(named) > NAMED_FILES else []
    return "".join(["; whole files:", *(f"<br>{line}" for line in lines)]) if named else ""


def share(rows: int, whole: int) -> str:
    """A count and its share."""
    return f"{rows:,} <small>{percent(rows / max(whole, 1))}</small>"


def exclusive_rows(champion: Champion) -> list[str]:
    """What only one of the models gets right."""
    comparison = champion.comparison
    return [
        mistakes(
            f"Only the challenger gets these right ({comparison.challenger_only_right:,})",
            "The champion's wrong answers that it was surest of.",
            champion.gained,
        ),
        mistakes(
            f"Only the champion gets these right ({comparison.champion_only_right:,})",
            "The challenger's wrong answers that it was surest of.",
            champion.lost,
        ),
    ]


def mistakes(title: str, words: str, items: list[Mistake]) -> str:
    """Wrong answers in words."""
    if not items:
        return section(title, '<p class="soft">There is none.</p>')
    articles = (
        f"<article>{label(item.actual, 'right')} was taken for {label(item.predicted, 'wrong')} with "
        f"<b>{percent(item.probability)}</b> <small>(its own label had {percent(item.actual_probability)}) "
        f"· {text(short(item.id, 80))}</small><p>{text(item.text)}</p></article>"
        for item in items
    )
    return section(title, f'<p class="soft">{words}</p>', *articles)


def method(assessment: Assessment) -> str:
    """How the figures came about."""
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
        f"how far the probability of an answer lies from how often such answers are right, on average over "
        f"{BINS} equal bins.</p>",
    )
