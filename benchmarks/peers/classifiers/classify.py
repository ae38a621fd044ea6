"""Train a classifier on FOLDER/train.jsonl, test it on FOLDER/test.jsonl and print the measurements as JSON.

    classify.py NAME FOLDER [NAME=VALUE ...]

The measured time (CPU time of all threads, user and system) is from reading the file until the model is
saved; libraries are imported before.
"""

import json
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

Predict = Callable[[Sequence[str]], Any]  # texts to labels, or to probabilities of shape (texts, labels)
Train = Callable[[Path, dict[str, str]], None]
Load = Callable[[Path], tuple[Sequence[str], Predict]]

WORD = re.compile(r"\w+(?:['’]\w+)*|[!?]")
SEED = 1


def rows(folder: Path, split: str) -> tuple[list[str], list[str]]:
    """Return the texts and labels of a split."""
    with (folder / f"{split}.jsonl").open("rb") as file:
        read = [json.loads(line) for line in file]
    return [row["text"] for row in read], [row["label"] for row in read]


def linear() -> tuple[Train, Load]:
    """Return the functions of the image `linear`; its folder and the toolkit must be in PYTHONPATH."""
    job, model, training = (
        import_module(name) for name in ("toolkit.job", "linear.model", "linear.training")
    )

    def run(folder: Path, settings: dict[str, str]) -> None:
        base = folder / "job"
        channel, config = base / "input/data/train", base / "input/config"
        for each in (channel, config):
            each.mkdir(parents=True, exist_ok=True)
        (channel / "train.jsonl").unlink(missing_ok=True)
        (channel / "train.jsonl").hardlink_to(folder / "train.jsonl")
        (config / "hyperparameters.json").write_text(json.dumps(settings))
        training.train(job.Job(base))
        (folder / "model").mkdir()
        for file in (base / "model").iterdir():
            file.rename(folder / "model" / file.name)

    def read(folder: Path) -> tuple[Sequence[str], Predict]:
        loaded = model.load(folder / "model")
        return loaded.labels, loaded.predict

    return run, read


def sklearn(make: Callable[[], Any]) -> tuple[Train, Load]:
    """Return the functions of a scikit-learn pipeline."""
    import joblib

    pipeline = make()

    def run(folder: Path, settings: dict[str, str]) -> None:
        pipeline.fit(*rows(folder, "train"))
        (folder / "model").mkdir()
        joblib.dump(pipeline, folder / "model/model.joblib")

    def read(folder: Path) -> tuple[Sequence[str], Predict]:
        model = joblib.load(folder / "model/model.joblib")
        return model.classes_.tolist(), model.predict

    return run, read


def tfidf_logistic() -> Any:
    """Return TF-IDF of 1-2-grams with logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    tfidf = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True)
    # With two labels, this is a single regression; the solver does not support more than two itself.
    return make_pipeline(tfidf, OneVsRestClassifier(LogisticRegression(C=30, solver="liblinear")))


def tfidf_svc() -> Any:
    """Return TF-IDF of 1-2-grams with a linear support vector machine."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    tfidf = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True)
    return make_pipeline(tfidf, LinearSVC(random_state=SEED))


def hashing_svc() -> Any:
    """Return hashed 1-3-grams (22 bits) with a linear support vector machine."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    hashing = HashingVectorizer(ngram_range=(1, 3), n_features=1 << 22, alternate_sign=False)
    return make_pipeline(hashing, LinearSVC(random_state=SEED))


def nb_svm() -> Any:
    """Return NB-SVM (Wang and Manning 2012) on 1-3-grams, for two labels."""
    import numpy as np
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    class LogRatios(BaseEstimator, TransformerMixin):  # type: ignore[misc]
        def fit(self, counts: Any, labels: Sequence[str]) -> Any:
            positive = np.asarray(labels) == max(labels)
            inside, outside = (
                np.asarray(counts[side].sum(axis=0)).ravel() + 1 for side in (positive, ~positive)
            )
            self.ratios_ = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
            return self

        def transform(self, counts: Any) -> Any:
            return counts.multiply(self.ratios_).tocsr()

    LogRatios.__qualname__ = "LogRatios"
    globals()["LogRatios"] = LogRatios  # joblib looks it up by name
    words = CountVectorizer(ngram_range=(1, 3), binary=True, token_pattern=WORD.pattern, dtype=np.float32)
    return make_pipeline(words, LogRatios(), LinearSVC(C=0.01, random_state=SEED))


def vowpal_wabbit(options: str) -> tuple[Train, Load]:
    """Return the functions of Vowpal Wabbit, whose driver reads a file in its own format."""
    import numpy as np
    from vowpalwabbit import Workspace

    def line(text: str, label: str = "") -> str:
        return f"{label} | {' '.join(WORD.findall(text.lower()))}\n"

    def run(folder: Path, settings: dict[str, str]) -> None:
        texts, labels = rows(folder, "train")
        order = np.random.default_rng(SEED).permutation(len(texts)).tolist()
        names = sorted(set(labels))
        with (folder / "train.vw").open("w") as file:
            file.writelines(line(texts[i], "1" if labels[i] == names[1] else "-1") for i in order)
        (folder / "model").mkdir()
        workspace = Workspace(f"-d {folder}/train.vw {options} -f {folder}/model/vw --quiet")
        workspace.finish()
        (folder / "labels").write_text(json.dumps(names))

    def read(folder: Path) -> tuple[Sequence[str], Predict]:
        workspace = Workspace(f"-i {folder}/model/vw -t --quiet")
        names = json.loads((folder / "labels").read_text())

        def predict(texts: Sequence[str]) -> Any:
            return [names[int(workspace.predict(line(text)) > 0)] for text in texts]

        return names, predict

    return run, read


def fasttext() -> tuple[Train, Load]:
    """Return the functions of fastText with bigrams and two threads."""
    import fasttext as library

    library.FastText.eprint = lambda *_: None

    def run(folder: Path, settings: dict[str, str]) -> None:
        texts, labels = rows(folder, "train")
        with (folder / "train.ft").open("w") as file:
            for text, label in zip(texts, labels, strict=True):
                file.write(f"__label__{label} {' '.join(WORD.findall(text.lower()))}\n")
        # The buckets limit the model to tens of MB; epochs and rate as in fastText's sentiment example.
        model = library.train_supervised(
            str(folder / "train.ft"),
            wordNgrams=2,
            bucket=2_000_000,
            dim=10,
            lr=0.5,
            epoch=5,
            thread=2,
            verbose=0,
        )
        (folder / "model").mkdir()
        model.save_model(str(folder / "model/model.bin"))

    def read(folder: Path) -> tuple[Sequence[str], Predict]:
        model = library.load_model(str(folder / "model/model.bin"))

        def predict(texts: Sequence[str]) -> Any:
            # `predict` of the Python wrapper needs NumPy 1.
            lines = (" ".join(WORD.findall(text.lower())) + "\n" for text in texts)
            return [model.f.predict(line, 1, 0.0, "strict")[0][1].removeprefix("__label__") for line in lines]

        return [], predict

    return run, read


CLASSIFIERS: dict[str, Callable[[], tuple[Train, Load]]] = {
    "linear": linear,
    "vw3": lambda: vowpal_wabbit("--ngram 3 -b 24 --loss_function logistic --passes 3 -c -k --holdout_off"),
    "vw2": lambda: vowpal_wabbit("--ngram 2 -b 22 --loss_function logistic --passes 2 -c -k --holdout_off"),
    "fasttext": fasttext,
    "tfidf_logistic": lambda: sklearn(tfidf_logistic),
    "tfidf_svc": lambda: sklearn(tfidf_svc),
    "hashing_svc": lambda: sklearn(hashing_svc),
    "nb_svm": lambda: sklearn(nb_svm),
}


def main(name: str, folder: Path, settings: dict[str, str]) -> None:
    """Train and test a classifier, and print the measurements."""
    train, load = CLASSIFIERS[name]()
    began, started = time.process_time(), time.monotonic()
    train(folder, settings)
    result: dict[str, Any] = {
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - began,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "model_megabytes": sum(file.stat().st_size for file in (folder / "model").iterdir()) / 1e6,
    }
    labels, predict = load(folder)
    texts, actual = rows(folder, "test")
    predicted = predict(texts)
    if name == "linear":
        import numpy as np

        indices = np.array([labels.index(label) for label in actual])
        best = predicted.argmax(axis=1)
        result |= {
            "log_loss": import_module("linear.calibration").log_loss(predicted, indices),
            "ece": expected_calibration_error(predicted, indices),
        }
        predicted = [labels[index] for index in best]
    result["accuracy"] = sum(one == other for one, other in zip(predicted, actual, strict=True)) / len(actual)
    print(json.dumps(result))


def expected_calibration_error(probabilities: Any, actual: Any, bins: int = 15) -> float:
    """Return the mean difference of confidence and accuracy over bins of confidence (Guo et al. 2017)."""
    import numpy as np

    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == actual
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(correct[bin_of == i].mean() - confidence[bin_of == i].mean()) * (bin_of == i).mean()
        for i in set(bin_of)
    ]
    return float(sum(gaps))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), dict(pair.split("=", 1) for pair in sys.argv[3:]))
