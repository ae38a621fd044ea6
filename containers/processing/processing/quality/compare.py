"""Compare the challenger's predictions on the test split with the champion's."""

import os
from collections.abc import Mapping
from pathlib import Path

from processing.outputs import write_json, write_text
from processing.quality.assessment import assess
from processing.quality.comparison import compare_models, comparison_document
from processing.quality.dataset_summary import read_summary
from processing.quality.mistakes import most_confident, with_texts
from processing.quality.predictions import join, read_answers
from processing.quality.report.page import Champion, Page, render
from processing.quality.split import read_lengths, read_split, read_texts

WORST_MISTAKES = 12  # mistakes in the report
EXCLUSIVE_ROWS = 6  # rows in the report that only one model gets right


def compare(base: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Read processing/input/{challenger,champion,test,labels,dataset} and write processing/output/comparison.

    Raises:
        QualityError: A test row lacks a model's prediction, or an input is malformed.
    """
    source, target = base / "processing/input", base / "processing/output/comparison"
    summary = read_summary(source / "dataset")
    split = read_split(source / "labels")
    lengths = read_lengths(source / "test", split)
    answers = [read_answers(source / name, split.places) for name in ("challenger", "champion")]
    challenger, champion = join(split, *answers)
    comparison = compare_models(challenger, champion, environment.get("CHAMPION_MODEL_NAME", "champion"))
    worst = most_confident(challenger, split, ~challenger.right, WORST_MISTAKES)
    gained = most_confident(champion, split, challenger.right & ~champion.right, EXCLUSIVE_ROWS)
    lost = most_confident(challenger, split, champion.right & ~challenger.right, EXCLUSIVE_ROWS)
    texts = read_texts(source / "test", {mistake.id for mistake in (*worst, *gained, *lost)})
    live = Champion(champion, comparison, with_texts(gained, texts), with_texts(lost, texts))
    note = environment.get("CHAMPION_NOTE", "")
    page = Page(summary, assess(challenger, split, lengths), with_texts(worst, texts), note, live)
    write_json(target / "comparison.json", comparison_document(comparison))
    write_text(target / "report.html", render(page))
    main = comparison.main
    print(
        f"{comparison.rows:,} rows; challenger={main.challenger:.4f}; champion={main.champion:.4f}; "
        f"difference={main.difference.value:+.4f}; p={comparison.p_value:.3g}"
    )
