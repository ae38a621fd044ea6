"""Compare `linear`'s presets with known n-gram classifiers: accuracy, CPU time, memory and model size.

All classifiers use the same training and test rows, each in its own process, one after the other. The test
rows are those whose ID begins with `test/`, or without such rows one in five by a hash of the ID. The CPU
time is the user and system time of all threads from reading the file until the model is saved; for `linear`
it includes the evaluation on validation rows. The peer of all bounds is Vowpal Wabbit with 1-3-grams and 24
bits, except for `accurate`, whose peer is NB-SVM.

--folds shows how the default was chosen, using only the training rows: it compares settings that differ in
one parameter on five folds. A fold is a range of consecutive IDs per label. In aclImdb, the reviews of a film
with the same label have consecutive IDs, so that almost no film is in two folds.
"""

import argparse
import json
import re
import statistics
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import command, rows
from benchmarks.containers import IMAGES
from benchmarks.errors import CommandError
from benchmarks.report import Bound, Report, table
from benchmarks.rows import Row
from localaws.runtimes.environments import Environments

PEERS = Path(__file__).parent / "peers/classifiers"
FOLDS = 5
SHOWN_LINES = 15
REVIEWS = 25_000  # of aclImdb's training split, and of its test split
MIN_ACCURACIES = (91.7, 92.3, 92.6)  # percent on aclImdb, per preset
TWO_LABELS = ("vw3", "vw2", "nb_svm")  # the binary classifiers


@dataclass(frozen=True)
class Classifier:
    """A classifier; `settings` are hyperparameters of `linear`, empty for other classifiers."""

    name: str
    key: str
    settings: Mapping[str, str]

    @property
    def own(self) -> bool:
        """Whether this is the project's classifier."""
        return self.key == "linear"


OWN = [
    Classifier(f"linear, {preset}", "linear", {"preset": preset})
    for preset in ("fast", "default", "accurate")
]
OTHERS = [
    Classifier("Vowpal Wabbit, 1-3-grams, 24 bits", "vw3", {}),
    Classifier("Vowpal Wabbit, 1-2-grams, 22 bits", "vw2", {}),
    Classifier("fastText, bigrams", "fasttext", {}),
    Classifier("TF-IDF 1-2-grams, logistic regression", "tfidf_logistic", {}),
    Classifier("TF-IDF 1-2-grams, LinearSVC", "tfidf_svc", {}),
    Classifier("hashing 1-3-grams, 22 bits, LinearSVC", "hashing_svc", {}),
    Classifier("NB-SVM, 1-3-grams", "nb_svm", {}),
]
VW = "Vowpal Wabbit with 1-3-grams"
VARIANTS: list[dict[str, str]] = [
    {},
    {"ngrams": "2"},
    {"skips": "0"},
    {"ending": "0"},
    {"negation": "0"},
    {"hash_bits": "22"},
    {"min_documents": "3"},
    {"min_documents": "6"},
    {"smoothing": "1"},
    {"smoothing": "10"},
    {"inverse_regularization": "0.3"},
    {"inverse_regularization": "3"},
    {"epochs": "20"},
    {"idf_share": "0"},
    {"preset": "fast"},
    {"preset": "accurate"},
]


@dataclass(frozen=True)
class Result:
    """The measurements of a classifier; log loss and ECE only if it returns probabilities."""

    accuracy: float
    cpu_seconds: float
    seconds: float
    megabytes: float
    model_megabytes: float
    log_loss: float | None = None
    ece: float | None = None


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("classifiers", __doc__)
    names = [one.key for one in OTHERS] + [one.settings["preset"] for one in OWN]
    result.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    result.add_argument("--folds", action="store_true", help="compare settings on folds of the training rows")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    options = parser().parse_args(arguments)
    train, test = split(rows.load(options.data))
    kind = "real" if options.data else "generated"
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        bench = Bench(Path(name))
        if options.folds:
            report = Report("classifiers --folds", f"{len(train):,} {kind} rows in {FOLDS} folds")
            compare_settings(bench, report, train)
        else:
            report = Report("classifiers", f"{len(train):,} {kind} training rows, {len(test):,} test rows")
            compare(bench, report, train, test, options.only, options.data is not None)
    return report.conclude(options.json)


class Bench:
    """Train and test classifiers, each in its own process and environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environments = Environments(folder / "environments")

    def prepare(self, own: bool) -> Path:
        """Create the environment, for `linear` with compiled functions as in its image."""
        environment = self._environments.make(IMAGES / "linear" if own else PEERS)
        if own:
            subprocess.run(
                [environment / "bin/python", IMAGES / "linear/compile"], check=True, capture_output=True
            )
        return environment

    def run(self, one: Classifier, train: Iterable[Row], test: Iterable[Row]) -> Result:
        """Train and test a classifier.

        Raises:
            CommandError: The process failed; the message ends with the last lines of its output.
        """
        python = self.prepare(one.own) / "bin/python"
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            for split_name, part in (("train", train), ("test", test)):
                with (folder / f"{split_name}.jsonl").open("w", encoding="utf-8") as file:
                    file.writelines(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in part)
            settings = [f"{key}={value}" for key, value in one.settings.items()]
            done = subprocess.run(
                [python, PEERS / "classify.py", one.key, folder, *settings],
                env={"PYTHONPATH": str(IMAGES / "linear")} if one.own else {},
                capture_output=True,
                text=True,
            )
        if done.returncode:
            output = "\n".join((done.stdout + done.stderr).splitlines()[-SHOWN_LINES:])
            raise CommandError(f"{one.name} failed with exit code {done.returncode}:\n{output}")
        return Result(**json.loads(done.stdout.splitlines()[-1]))


def split(all_rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Split rows into training rows and test rows."""
    if any(row.id.startswith("test/") for row in all_rows):
        is_test = [row.id.startswith("test/") for row in all_rows]
    else:
        is_test = [zlib.crc32(row.id.encode()) % 5 == 0 for row in all_rows]
    pairs = list(zip(all_rows, is_test, strict=True))
    return [row for row, test in pairs if not test], [row for row, test in pairs if test]


def folds(train: Sequence[Row]) -> list[list[Row]]:
    """Split the rows into FOLDS ranges of consecutive IDs per label."""
    parts: list[list[Row]] = [[] for _ in range(FOLDS)]
    for label in sorted({row.label for row in train}):
        members = sorted((row for row in train if row.label == label), key=natural)
        for index, row in enumerate(members):
            parts[index * FOLDS // len(members)].append(row)
    return parts


def natural(row: Row) -> list[tuple[int, str]]:
    """Return a sort key that orders the numbers in IDs by value."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", row.id)]


def compare(
    bench: Bench,
    report: Report,
    train: Sequence[Row],
    test: Sequence[Row],
    only: Sequence[str] | None,
    is_real: bool,
) -> None:
    """Measure the presets and the other classifiers; `is_real` is False for generated rows."""
    two = len({row.label for row in train}) == 2
    found: dict[str, Result] = {}
    for one in [*OWN, *OTHERS]:
        if (only and not {one.key, one.settings.get("preset")} & set(only)) or (
            one.key in TWO_LABELS and not two
        ):
            continue
        found[one.name] = bench.run(one, train, test)
        print(f"    {one.name}: {found[one.name]}", flush=True)
    head = ("", "accuracy", "CPU s", "s", "peak MB", "model MB", "log loss", "ECE")
    print(f"\n{table(head, [cells(name, it) for name, it in found.items()])}\n")
    report.figures = {name: asdict(it) for name, it in found.items()}
    report.bounds = list(bounds(found))
    if is_real and len(train) == len(test) == REVIEWS:
        report.bounds += floors(found)


def floors(found: Mapping[str, Result]) -> Iterable[Bound]:
    """Yield the minimum accuracies of the presets on aclImdb, which is recognized by its size."""
    for one, minimum in zip(OWN, MIN_ACCURACIES, strict=True):
        if result := found.get(one.name):
            yield Bound(f"accuracy in %, {one.name}", 100 * result.accuracy, minimum, True)


def bounds(found: Mapping[str, Result]) -> Iterable[Bound]:
    """Yield the documented bounds of the measured classifiers."""
    fast, default, accurate = (found.get(one.name) for one in OWN)
    vw, nb_svm = found.get(OTHERS[0].name), found.get(OTHERS[-1].name)
    for name, result in found.items():
        if name.startswith("linear"):
            yield Bound(f"model size in MB, {name}", result.model_megabytes, 10)
    if vw and fast:
        yield Bound(f"fast: accuracy minus that of {VW}, in points", points(fast, vw), 0, True)
        yield Bound(f"fast: CPU time as a multiple of {VW}'s", fast.cpu_seconds / vw.cpu_seconds, 1)
    if vw and default:
        yield Bound(f"default: CPU time as a multiple of {VW}'s", default.cpu_seconds / vw.cpu_seconds, 1.7)
        yield Bound(f"default: accuracy minus that of {VW}, in points", points(default, vw), 0, True)
    if nb_svm and accurate:
        cpu_ratio = accurate.cpu_seconds / nb_svm.cpu_seconds
        yield Bound("accurate: CPU time as a multiple of NB-SVM's", cpu_ratio, 1)
        yield Bound("accurate: accuracy minus that of NB-SVM, in points", points(accurate, nb_svm), 0, True)


def points(one: Result, other: Result) -> float:
    """Return the difference of the accuracies in percentage points."""
    return 100 * (one.accuracy - other.accuracy)


def cells(name: str, result: Result) -> list[object]:
    """Return a row of the table."""
    calibration = [f"{result.log_loss:.3f}", f"{result.ece:.3f}"] if result.log_loss is not None else ["", ""]
    return [
        *(name, f"{result.accuracy:.4f}", result.cpu_seconds, result.seconds, result.megabytes),
        *(f"{result.model_megabytes:.1f}", *calibration),
    ]


def compare_settings(bench: Bench, report: Report, train: Sequence[Row]) -> None:
    """Measure each variant on each fold, trained on the other folds."""
    parts = folds(train)
    found: dict[str, list[Result]] = {}
    for variant in VARIANTS:
        name = ", ".join(f"{key} {value}" for key, value in variant.items()) or "the default"
        one = Classifier(name, "linear", variant)
        for index, fold in enumerate(parts):
            rest = [row for other in parts[:index] + parts[index + 1 :] for row in other]
            found.setdefault(name, []).append(bench.run(one, rest, fold))
        accuracies = [it.accuracy for it in found[name]]
        print(f"    {name}: {statistics.mean(accuracies):.4f} {accuracies}", flush=True)
    lines: list[list[Any]] = []
    for name, results in found.items():
        accuracy = statistics.mean(it.accuracy for it in results)
        lines.append([name, f"{accuracy:.4f}", statistics.mean(it.cpu_seconds for it in results)])
    print(f"\n{table(('', 'accuracy', 'CPU s'), lines)}\n")
    report.figures = {name: [asdict(it) for it in results] for name, results in found.items()}


if __name__ == "__main__":
    command.run(main)
