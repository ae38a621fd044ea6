import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from processing.quality import curves
from processing.quality.report import plots
from tests.unit.containers.processing.quality_job import DATASET, Job, draw, draw_scores

EVIL = '</section><script>alert("$x")</script><!-- cost --> & \x1b[31m \u202e 話題 \ud83d'
VOID = {"br", "meta", "use", "path", "image"}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


class Outline(HTMLParser):
    """Every element, attribute and text; fails where an element is not closed in its order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def put_evil(job: Job) -> None:
    """Texts, labels, ids, sources and a query that would rather be markup."""
    labels = [EVIL, "pos"]
    keys = [f"{EVIL}{i}" for i in range(8)]
    job.put("test", [{"id": key, "text": EVIL} for key in keys])
    job.put("labels", [{"id": key, "label": labels[i % 2], "source": EVIL} for i, key in enumerate(keys)])
    for name in ("predictions", "challenger", "champion"):
        shift = name == "champion"
        answers = [labels[(i // 2 + shift) % 2] for i in range(8)]
        job.put(
            name,
            [
                {"id": key, "label": label, "probabilities": {EVIL: 0.5, "pos": 0.5}}
                for key, label in zip(keys, answers, strict=True)
            ],
        )
    splits = {EVIL: {"rows": 8, "labels": {EVIL: 4, "pos": 4}}}
    evil = {"asOf": EVIL, "query": EVIL, "sha256": EVIL, "splits": splits, "sources": {EVIL: 8}}
    held = [{"label": EVIL, "like": EVIL, "rows": 1}]
    refused = {"records": 0, "quarantinedRows": 1, "quarantinedFiles": {EVIL: EVIL}}
    refused |= {"newLabels": {EVIL: 1}, "heldLabels": held}
    left_out = {"omittedLabels": {EVIL: 1}, "invalidRecords": {EVIL: EVIL}}
    job.put_dataset(DATASET | evil | left_out | {"ingested": refused})


def pages(job: Job) -> Iterator[str]:
    job.run()
    yield job.read_text("quality/report.html")
    job.compare(EVIL)
    yield job.read_text("comparison/report.html")


def test_nothing_from_data_becomes_markup(job: Job) -> None:
    put_evil(job)
    for page in pages(job):
        outline = Outline(page)
        assert "script" not in outline.elements
        assert not [name for name, _ in outline.attributes if name.startswith("on")]
        assert 'alert("$x")' in outline.text
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page)


def test_labels_that_are_new_held_back_or_left_out_are_named(job: Job) -> None:
    put_evil(job)
    job.put_dataset(DATASET)
    job.run()
    shown = Outline(job.read_text("quality/report.html")).text
    assert "New labels meh (12 rows)" in shown
    assert "Labels held back <Pos> (4 rows), like pos" in shown
    assert "rare 11 (2 rows); and 2 more" in shown
    assert "Records left out of an unknown split: 1, such as record '6' of raw/a.csv" in shown


def test_page_needs_nothing_else(job: Job) -> None:
    put_evil(job)
    for page in pages(job):
        outline = Outline(page)
        policy = next(value for name, value in outline.attributes if "default-src" in value)
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
        assert not {"link", "iframe", "object", "base", "form", "a"} & set(outline.elements)
        links = [
            value for name, value in outline.attributes if name in ("href", "src", "xlink:href", "action")
        ]
        assert all(value.startswith(("#", "data:image/png;base64,")) for value in links)
        assert not re.search(r"@import|url\((?!#)", page)


def test_markers_stand_once_between_sections(job: Job) -> None:
    put_evil(job)
    for page in pages(job):
        for marker in ("<!-- cost -->", "<!-- latency -->"):
            assert page.count(marker) == 1
        assert re.search(r"</section>\s*<!-- latency -->\s*<!-- cost -->\s*<section", page)


def test_page_shows_the_figures(job: Job) -> None:
    actual, probabilities = draw_scores(2, 400)
    labels = ["neg", "pos"]
    job.put_test([labels[i] for i in actual])
    job.put_probabilities("predictions", labels, probabilities)
    job.run()
    text = Outline(job.read_text("quality/report.html")).text
    measured = job.read("statistics.json")
    accuracy = measured["multiclass_classification_metrics"]["accuracy"]["value"]
    interval = job.read("details.json")["confidence_intervals"]["accuracy"]
    assert f"{accuracy:.1%} of the predictions are correct" in text
    assert f"(95% interval {interval['low']:.1%} to {interval['high']:.1%})" in text
    assert f"AUC {measured['binary_classification_metrics']['auc']['value']:.2%}" in text
    assert "data as of 2026-01-31T23:59:59.999Z" in text
    assert "5e" * 32 in text
    assert "Ingested by this run 1,234 records" in text
    assert "Quarantined 5 rows; whole files: raw/<b>.csv: empty file" in text
    assert "pos is the positive label" in text
    for heading in ("Dataset", "Confusion matrix", "Calibration", "ROC curve", "Slices", "Worst mistakes"):
        assert f"{heading} " in text


def test_worst_mistakes_are_the_most_confident_ones(job: Job) -> None:
    answers = [("neg", 0.9), ("neg", 0.99), ("pos", 0.999), ("neg", 0.6)]
    job.put("test", [{"id": str(i), "text": f"text {i} " + "long " * 500} for i in range(4)])
    job.put("labels", [{"id": str(i), "label": "pos"} for i in range(4)])
    job.put(
        "predictions",
        [
            {
                "id": str(i),
                "label": label,
                "probabilities": {label: p, "neg" if label == "pos" else "pos": 1 - p},
            }
            for i, (label, p) in enumerate(answers)
        ],
    )
    job.run()
    page = job.read_text("quality/report.html")
    assert re.findall(r"text (\d) long", page) == ["1", "0", "3"]
    text = Outline(page).text
    assert "pos was classified as neg with 99.0% (its own label had 1.0%) · 1 text 1 long" in text
    assert "long " * 120 not in text


def test_comparison_reports_the_better_model_and_exclusive_rows(job: Job) -> None:
    actual = ["neg", "pos"] * 50
    job.put_test(actual)
    job.put_answers("challenger", [*actual[:90], *["neg"] * 10])
    job.put_answers("champion", [*["neg"] * 60, *actual[60:]])
    job.compare("retrain-9")
    text = Outline(job.read_text("comparison/report.html")).text
    assert "The challenger is better than the champion: +25.00 points of accuracy" in text
    assert "champion retrain-9" in text
    assert "Only the challenger gets 30 right, only the champion 5." in text
    assert "Only the challenger gets these right (30)" in text
    assert "Only the champion gets these right (5)" in text
    job.put_answers("challenger", [*["neg"] * 60, *actual[60:]])
    job.put_answers("champion", actual)
    job.compare()
    assert "The challenger is worse than the champion" in job.read_text("comparison/report.html")
    job.put_answers("champion", [*["neg"] * 58, *actual[58:]])
    job.compare()
    assert "is not statistically significant" in job.read_text("comparison/report.html")


@pytest.mark.parametrize("labels", [3, 8, 100])
def test_more_labels_fit(job: Job, labels: int) -> None:
    job.put_labels(*draw(labels, 1500))
    job.run()
    page = job.read_text("quality/report.html")
    assert len(page.encode()) < 1_500_000
    outline = Outline(page)
    assert ("image" in outline.elements) == (labels > 12)
    assert ("Confused most often" in outline.text) == (labels > 12)


def test_perfect_answers_have_a_page(job: Job) -> None:
    job.put_labels(["neg", "pos"], ["neg", "pos"])
    job.run()
    assert "None." in job.read_text("quality/report.html")


def test_colours_are_the_pages_own() -> None:
    curve = curves.Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    svg = plots.roc([plots.Line(curve, plots.ACCENT)])
    assert "var(--accent)" in svg
    assert "var(--ink)" in svg
    assert not re.search("#0[1-4]0[1-4]0[1-4]|<style|<metadata|<!DOCTYPE", svg)


def test_a_model_without_a_champion_is_reported_as_not_compared(job: Job) -> None:
    job.put_labels(["neg", "pos"] * 10, ["neg", "pos"] * 10)
    job.run({"CHAMPION_MODEL_NAME": "none", "CHAMPION_NOTE": "no model <b> was deployed before"})
    page = job.read_text("quality/report.html")
    assert "Not compared with a champion: no model &lt;b&gt; was deployed before." in page
    job.run({"CHAMPION_MODEL_NAME": "retrain-1", "CHAMPION_NOTE": "live on retrain-realtime"})
    page = job.read_text("quality/report.html")
    assert "compares it with the champion retrain-1, live on retrain-realtime." in page


def test_a_comparison_reports_where_the_champion_was_found(job: Job) -> None:
    job.put_test(["neg", "pos"] * 10)
    for name in ("challenger", "champion"):
        job.put_answers(name, ["neg", "pos"] * 10)
    job.compare("retrain-champion-3", "last deployed model of retrain-models")
    page = job.read_text("comparison/report.html")
    assert "champion retrain-champion-3 (last deployed model of retrain-models)" in page
