"""Build the report's section on the dataset: its splits, and what is new, held back or left out."""

from collections.abc import Mapping

from processing.quality.dataset_summary import Summary
from processing.quality.report.markup import label, percent, section, short, table, text

TABLE_LABELS = 12  # more labels are not listed in the table
NAMED_FILES = 10  # quarantined files that are listed


def dataset(summary: Summary) -> str:
    """Describe the dataset of the model."""
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
        f"<dt>Left out of train</dt><dd>{summary.dropped:,} texts that are in the test split</dd>"
        f"<dt>Ingested by this run</dt><dd>{summary.ingested:,} records</dd>"
        f"<dt>Quarantined</dt><dd>{summary.quarantined_rows:,} rows{quarantined_files(summary)}</dd>"
        f"{label_facts(summary)}</dl>"
    )
    query = f"<details><summary>Query</summary><pre>{text(summary.query)}</pre></details>"
    head = ("Split", "Rows", *(text(short(name, 16)) for name in shown))
    return section("Dataset", facts, table(head, rows), more, query)


def quarantined_files(summary: Summary) -> str:
    """List the files that were quarantined whole."""
    named = list(summary.quarantined_files.items())
    lines = [f"{text(short(key, 60))}: {text(short(reason, 160))}" for key, reason in named[:NAMED_FILES]]
    lines += [f"and {len(named) - NAMED_FILES:,} more files"] if len(named) > NAMED_FILES else []
    return "".join(["; whole files:", *(f"<br>{line}" for line in lines)]) if named else ""


def label_facts(summary: Summary) -> str:
    """List labels that are new, held back or left out, and records that are left out."""
    held = [
        f"{label(item.label)} ({item.rows:,} rows), like {label(item.like)}" for item in summary.held_labels
    ]
    facts = {
        "New labels": counted(summary.new_labels),
        "Labels held back": held,
        "Labels left out": counted(summary.omitted_labels),
        "Records left out": [f"{text(k)}: {text(v)}" for k, v in summary.invalid_records.items()],
    }
    return "".join(f"<dt>{name}</dt><dd>{first(items)}</dd>" for name, items in facts.items() if items)


def counted(labels: Mapping[str, int]) -> list[str]:
    """Name labels with their rows."""
    return [f"{label(name)} ({rows:,} rows)" for name, rows in labels.items()]


def first(items: list[str]) -> str:
    """Join the first items, and count the others."""
    more = [f"and {len(items) - TABLE_LABELS:,} more"] if len(items) > TABLE_LABELS else []
    return "; ".join([*items[:TABLE_LABELS], *more])


def share(rows: int, whole: int) -> str:
    """Format a count and its share."""
    return f"{rows:,} <small>{percent(rows / max(whole, 1))}</small>"
