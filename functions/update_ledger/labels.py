"""What the output and the notification say about labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from update_ledger.dataset import Dataset
from update_ledger.ingestion import Ingestion

SHOWN = 10  # labels of each kind; the reports of IngestRecords and CreateDataset have them all
SHOWN_CHARACTERS = 80  # of a label


def label_fields(ingestion: Ingestion, dataset: Dataset) -> dict[str, Any]:
    """Return the answer's fields on labels."""
    return {
        "newLabels": named(ingestion.new_labels),
        "heldLabels": [
            {"label": short(item.label), "like": short(item.like), "rows": item.rows}
            for item in ingestion.held_labels[:SHOWN]
        ],
        "omittedLabels": named(dataset.omitted_labels),
    }


def named(labels: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the first labels with their rows."""
    return [{"label": short(label), "rows": rows} for label, rows in list(labels.items())[:SHOWN]]


def label_sentences(ingestion: Ingestion, dataset: Dataset) -> Iterator[str]:
    """Yield the notification's sentences on labels."""
    if ingestion.new_labels:
        yield f"New labels: {listed([f'{quote(k)} ({v:,})' for k, v in ingestion.new_labels.items()])}."
    if ingestion.held_labels:
        items = [
            f"{quote(item.label)} ({item.rows:,}), like {quote(item.like)}" for item in ingestion.held_labels
        ]
        yield (
            "Held back until [fields.label.values] of contract.toml says whether they are one: "
            f"{listed(items)}."
        )
    if dataset.omitted_labels:
        items = [f"{quote(k)} ({v:,})" for k, v in dataset.omitted_labels.items()]
        yield f"Left out of the dataset, for few rows to train with or too many labels: {listed(items)}."
    for fault, records in dataset.invalid_records.items():
        yield f"Left out of the dataset: records {fault}: {records}."


def listed(items: list[str]) -> str:
    """Join the first items, and count the others."""
    more = [f"and {len(items) - SHOWN:,} more"] if len(items) > SHOWN else []
    return "; ".join([*items[:SHOWN], *more])


def quote(label: str) -> str:
    """Return a label in quotation marks."""
    return f"'{short(label)}'"


def short(label: str) -> str:
    """Return a label of bounded length."""
    return label if len(label) <= SHOWN_CHARACTERS else label[: SHOWN_CHARACTERS - 1] + "…"
