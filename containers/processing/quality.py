"""Judges a model's answers over the test split, alone or against the live model's."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assessment import assess
from comparison import compare_models, comparison_document
from contents import Champion, Page
from mistakes import most_confident, with_texts
from monitor import constraints, details, statistics
from predictions import Codes, Split, join, read_answers, read_split
from report import render
from summary import read_summary
from texts import choose_samples, read_lengths, read_texts, samples

WORST = 12  # mistakes in the report
ALONE = 6  # rows in the report that only one of two models gets right


def evaluate(base: Path) -> None:
    """Read processing/input/{predictions,test,labels,dataset} and write processing/output/quality.

    Raises:
        QualityError: A test row has no label, no prediction or two, or an input is malformed.
    """
    source, target = base / "processing/input", base / "processing/output/quality"
    summary = read_summary(source / "dataset")
    split, lengths = read_test(source)
    (scores,) = join(split, read_answers(source / "predictions", split.places))
    chosen = choose_samples(split, lengths)
    worst = most_confident(scores, split, ~scores.right, WORST)
    texts = read_texts(source / "test", {*chosen, *(mistake.id for mistake in worst)})
    assessment = assess(scores, split, lengths)
    target.mkdir(parents=True, exist_ok=True)
    write_json(target / "statistics.json", statistics(assessment))
    write_json(target / "constraints.json", constraints(assessment))
    write_json(target / "details.json", details(assessment))
    write_lines(target / "samples.jsonl", samples(source / "predictions", chosen, texts, split))
    write_text(target / "report.html", render(Page(summary, assessment, with_texts(worst, texts))))
    values = (f"{name}={figure.value:.4f}" for name, figure in assessment.multiclass.items())
    print(f"{len(split.labels):,} rows; " + "; ".join(values))


def compare(base: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Read processing/input/{challenger,champion,test,labels,dataset} and write processing/output/comparison.

    Raises:
        QualityError: A test row lacks either model's prediction, or an input is malformed.
    """
    source, target = base / "processing/input", base / "processing/output/comparison"
    summary = read_summary(source / "dataset")
    split, lengths = read_test(source)
    answers = [read_answers(source / name, split.places) for name in ("challenger", "champion")]
    challenger, champion = join(split, *answers)
    comparison = compare_models(challenger, champion, environment.get("CHAMPION_MODEL_NAME", "champion"))
    worst = most_confident(challenger, split, ~challenger.right, WORST)
    gained = most_confident(champion, split, challenger.right & ~champion.right, ALONE)
    lost = most_confident(challenger, split, champion.right & ~challenger.right, ALONE)
    texts = read_texts(source / "test", {mistake.id for mistake in (*worst, *gained, *lost)})
    live = Champion(champion, comparison, with_texts(gained, texts), with_texts(lost, texts))
    page = Page(summary, assess(challenger, split, lengths), with_texts(worst, texts), live)
    target.mkdir(parents=True, exist_ok=True)
    write_json(target / "comparison.json", comparison_document(comparison))
    write_text(target / "report.html", render(page))
    main = comparison.main
    print(
        f"{comparison.rows:,} rows; challenger={main.challenger:.4f}; champion={main.champion:.4f}; "
        f"difference={main.difference.value:+.4f}; p={comparison.p_value:.3g}"
    )


def read_test(source: Path) -> tuple[Split, Codes]:
    """The labelled rows and the characters of each one's text."""
    split = read_split(source / "labels")
    return split, read_lengths(source / "test", split)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write one JSON document."""
    write_text(file, json.dumps(content, indent=2) + "\n")


def write_lines(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON Lines."""
    write_text(file, "".join(json.dumps(row) + "\n" for row in rows))


def write_text(file: Path, text: str) -> None:
    """Write UTF-8; half a surrogate pair, which has no bytes there, becomes a question mark."""
    file.write_bytes(text.encode("utf-8", "replace"))
