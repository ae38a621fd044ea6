"""Evaluate a model's predictions on the test split."""

import os
from collections.abc import Mapping
from pathlib import Path

from processing.outputs import write_json, write_lines, write_text
from processing.quality.assessment import assess
from processing.quality.dataset_summary import read_summary
from processing.quality.mistakes import most_confident, with_texts
from processing.quality.model_monitor import constraints, details, statistics
from processing.quality.predictions import join, read_answers
from processing.quality.report.page import Page, render
from processing.quality.samples import choose_samples, samples
from processing.quality.split import read_lengths, read_split, read_texts

WORST_MISTAKES = 12  # mistakes in the report
NO_MODEL = "none"  # CHAMPION_MODEL_NAME without a champion


def evaluate(base: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Read processing/input/{predictions,test,labels,dataset} and write processing/output/quality.

    Raises:
        QualityError: A test row lacks a label or a prediction, has two, or an input is malformed.
    """
    source, target = base / "processing/input", base / "processing/output/quality"
    summary = read_summary(source / "dataset")
    split = read_split(source / "labels")
    lengths = read_lengths(source / "test", split)
    (scores,) = join(split, read_answers(source / "predictions", split.places))
    chosen = choose_samples(split, lengths)
    worst = most_confident(scores, split, ~scores.right, WORST_MISTAKES)
    texts = read_texts(source / "test", {*chosen, *(mistake.id for mistake in worst)})
    assessment = assess(scores, split, lengths)
    write_json(target / "statistics.json", statistics(assessment))
    write_json(target / "constraints.json", constraints(assessment))
    write_json(target / "details.json", details(assessment, summary.labels))
    write_lines(target / "samples.jsonl", samples(source / "predictions", chosen, texts, split))
    note = champion_note(environment)
    write_text(target / "report.html", render(Page(summary, assessment, with_texts(worst, texts), note)))
    values = (f"{name}={figure.value:.4f}" for name, figure in assessment.multiclass.items())
    print(f"{len(split.labels):,} rows; " + "; ".join(values))


def champion_note(environment: Mapping[str, str]) -> str:
    """Return whether the model is compared with a champion, and why not, as a sentence; else nothing."""
    note = environment.get("CHAMPION_NOTE")
    if not note:
        return ""
    name = environment.get("CHAMPION_MODEL_NAME", NO_MODEL)
    if name == NO_MODEL:
        return f"Not compared with a champion: {note}."
    return f"The step CompareModels compares it with the champion {name}, {note}."
