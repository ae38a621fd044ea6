"""The committed sample is the script's output and can be learned."""

import csv
from collections import Counter
from pathlib import Path

from demo import make_sample, predictions


def test_committed_sample_is_reproduced_byte_for_byte(tmp_path: Path) -> None:
    make_sample.write(tmp_path / "sample.csv")
    assert (tmp_path / "sample.csv").read_bytes() == make_sample.SAMPLE.read_bytes()


def test_rows_are_balanced_distinct_and_marked_synthetic() -> None:
    with make_sample.SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter((row["split"], row["label"]) for row in rows) == {
        ("train", "neg"): 100, ("train", "pos"): 100, ("test", "neg"): 30, ("test", "pos"): 30,
    }  # fmt: skip
    assert all(row["id"].startswith(f"synthetic/{row['label']}/") for row in rows)
    assert len({row["id"] for row in rows}) == len({row["text"] for row in rows}) == len(rows)


def test_a_bag_of_words_model_learns_the_sample() -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    parts: dict[str, tuple[list[str], list[str]]] = {"train": ([], []), "test": ([], [])}
    for row in make_sample.rows():
        parts[row["split"]][0].append(row["text"])
        parts[row["split"]][1].append(row["label"])
    model = make_pipeline(CountVectorizer(), MultinomialNB()).fit(*parts["train"])
    assert model.score(*parts["test"]) > 0.85
    texts = [review.text for review in predictions.FILM_REVIEWS]
    assert list(model.predict(texts)) == [review.expected for review in predictions.FILM_REVIEWS]
