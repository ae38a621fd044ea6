"""Compare the challenger's predictions on the test split with the champion's."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from processing.errors import QualityError
from processing.outputs import write_json, write_text
from processing.quality.assessment import assess
from processing.quality.comparison import compare_models, comparison_document, find_left_out
from processing.quality.dataset_summary import read_summary
from processing.quality.mistakes import most_confident, most_different, with_texts
from processing.quality.predictions import join, read_answers
from processing.quality.report.page import Champion, Page, render
from processing.quality.split import read_lengths, read_split, read_texts

WORST_MISTAKES = 12  # mistakes in the report
EXCLUSIVE_ROWS = 6  # rows in the report that only one model gets right
DIFFERENT_ROWS = 12  # new rows in the report that the models answer differently


def compare(base: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Compare two models on the rows that both can answer.

    It reads processing/input/{challenger,champion,test,labels,dataset,plan} and writes
    processing/output/comparison.

    Raises:
        QualityError: A test row lacks a model's prediction, an input is malformed, or no label is common.
    """
    source, target = base / "processing/input", base / "processing/output/comparison"
    summary = read_summary(source / "dataset")
    split = read_split(source / "labels")
    lengths = read_lengths(source / "test", split)
    answers = [read_answers(source / name, split.places) for name in ("challenger", "champion")]
    challenger, champion = join(split, *answers)
    left_out = find_left_out(split.labels, answers[0].knows(summary.trained), answers[1].knows())
    common = ~np.isin(split.labels, [label for label, *_ in left_out])
    if not common.any():
        raise QualityError(
            "champion and challenger have no label of the test rows in common, so they cannot be compared. "
            'To deploy without a comparison, start the workflow with {"force": true, "champion": "none"}'
        )
    name = environment.get("CHAMPION_MODEL_NAME", "champion")
    both = challenger.of_rows(common), champion.of_rows(common)
    comparison = compare_models(*both, name, left_out)
    worst = most_confident(challenger, split, ~challenger.right, WORST_MISTAKES)
    gained = most_confident(champion, split, common & challenger.right & ~champion.right, EXCLUSIVE_ROWS)
    lost = most_confident(challenger, split, common & champion.right & ~challenger.right, EXCLUSIVE_ROWS)
    new = np.isin([source or "" for source in split.sources], sorted(planned_sources(source / "plan")))
    different = most_different(challenger, champion, split, new, DIFFERENT_ROWS)
    mistaken = {mistake.id for mistake in (*worst, *gained, *lost)}
    texts = read_texts(source / "test", mistaken | {row.id for row in different})
    live = Champion(
        both[1],
        comparison,
        with_texts(gained, texts),
        with_texts(lost, texts),
        with_texts(different, texts),
        int(new.sum()),
    )
    note = environment.get("CHAMPION_NOTE", "")
    page = Page(summary, assess(challenger, split, lengths), with_texts(worst, texts), note, live)
    write_json(target / "comparison.json", comparison_document(comparison))
    write_text(target / "report.html", render(page))
    main = comparison.main
    print(
        f"{comparison.rows:,} rows; challenger={main.challenger:.4f}; champion={main.champion:.4f}; "
        f"difference={main.difference.value:+.4f}; p={comparison.p_value:.3g}"
    )


def planned_sources(folder: Path) -> set[str]:
    """Return the keys of the files that this run ingests; none without a plan."""
    file = folder / "plan.json"
    if not file.exists():
        return set()
    try:
        return {item["key"] for item in json.loads(file.read_bytes())["objects"]}
    except (ValueError, KeyError, TypeError) as error:
        raise QualityError(f"plan.json is not a valid plan: {type(error).__name__} {error}") from error
