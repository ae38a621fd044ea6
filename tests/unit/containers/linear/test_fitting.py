import random

import numpy as np
import pytest

from linear.fitting import ModelShares, Solver, fit
from linear.vocabulary import build_vocabulary
from linear.word_ngrams import WordNgrams

WORDS = [f"word{i}" for i in range(200)]


SIGNS = {"bad": "not good at all", "fine": "so very pleasing", "meh": "neither here nor there"}


def texts(count: int, labels: list[str], seed: int = 0) -> list[dict[str, str]]:
    """Texts of the same words; a few words in the middle decide the label."""
    source = random.Random(seed)
    rows = []
    for i in range(count):
        label = labels[i % len(labels)]
        words = source.choices(WORDS, k=20)
        words[10:10] = [SIGNS[label]]
        rows.append({"id": f"train/{i}", "text": " ".join(words), "label": label})
    return rows


def test_a_fit_that_starts_where_another_ended_finds_what_a_fresh_one_finds() -> None:
    rows = texts(120, ["bad", "fine", "meh"])
    actual = np.array([sorted(SIGNS).index(row["label"]) for row in rows])
    view = WordNgrams(2, 0, 0, 0, 16)
    known = [build_vocabulary(view.rows([row["text"] for row in rows]), 16, 2)]
    solver = Solver(smoothing=1.0, cost=1.0, epochs=1000, tolerance=1e-4, seed=1)
    shares = [ModelShares(0.7, 0.3)]
    some = fit(known, shares, actual, np.arange(100), solver)
    warm = fit(known, shares, actual, np.arange(120), solver, some)
    fresh = fit(known, shares, actual, np.arange(120), solver)
    assert warm.scores(known) == pytest.approx(fresh.scores(known), abs=2e-3)
    assert some.scores(known) != pytest.approx(fresh.scores(known), abs=2e-3)
