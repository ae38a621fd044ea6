"""`linear`'s presets against known classifiers of n-grams: accuracy, processor seconds, memory, model.

All train on the same rows and are tested on the same others, each in a process of its own, one by one.
Rows whose id begins with `test/` are tested on; where none does, one in five is, by a hash of its id.
Processor seconds are user and system, of all threads, from the reading of the file until the model is saved;
`linear` measures itself on rows held out in that time, too. The peer of every bound is Vowpal Wabbit with
1-3-grams and 24 bits, for `accurate` NB-SVM.

--folds shows how the default was chosen, on rows to train with alone: settings that differ in one thing each,
on five folds. A fold is a stretch of neighbouring ids of each label: in aclImdb a film's reviews of a label
are neighbours, so that hardly a film is in two folds.
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
TOLD_LINES = 15
REVIEWS = 25_000  # of aclImdb's training split, and of its test split
LEAST_OF_REVIEWS = (91.7, 92.3, 92.6)  # % right, of each preset
TWO_LABELS = ("vw3", "vw2", "nb_svm")  # what they can tell apart


@dataclass(frozen=True)
class Classifier:
    """A classifier, and its settings if it is the product's."""

    name: str
    key: str
    settings: Mapping[str, str]

    @property
    def own(self) -> bool:
        """Whether it is the product's."""
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
    """What one classifier did; log loss and ECE where it gives probabilities."""

    accuracy: float
    cpu_seconds: float
    seconds: float
    megabytes: float
    model_megabytes: float
    log_loss: float | None = None
    ece: float | None = None


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = command.parser("classifiers", __doc__)
    names = [one.key for one in OTHERS] + [one.settings["preset"] for one in OWN]
    it.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    it.add_argument("--folds", action="store_true", help="compare settings on folds of train instead")
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit code."""
    options = parser().parse_args(arguments)
    train, test = split(rows.load(options.data))
    kind = "given" if options.data else "generated"
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        bench = Bench(Path(name))
        if options.folds:
            report = Report("classifiers --folds", f"{len(train):,} {kind} rows in {FOLDS} folds")
            compare_settings(bench, report, train)
        else:
            report = Report("classifiers", f"{len(train):,} {kind} rows, tested on {len(test):,} others")
            compare(bench, report, train, test, options.only, options.data is not None)
    return report.conclude(options.json)


class Bench:
    """Trains and tests classifiers, each in a process and an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environments = Environments(folder / "environments")

    def prepare(self, own: bool) -> Path:
        """The environment; the product's has its functions compiled, as its image has."""
        environment = self._environments.make(IMAGES / "linear" if own else PEERS)
        if own:
            subprocess.run(
                [environment / "bin/python", IMAGES / "linear/compile"], check=True, capture_output=True
            )
        return environment

    def run(self, one: Classifier, train: Iterable[Row], test: Iterable[Row]) -> Result:
        """Train and test.

        Raises:
            CommandError: It fails; the message ends with its last lines.
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
            said = "\n".join((done.stdout + done.stderr).splitlines()[-TOLD_LINES:])
            raise CommandError(f"{one.name} ended with exit code {done.returncode}:\n{said}")
        return Result(**json.loads(done.stdout.splitlines()[-1]))


def split(given: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows to train with, and to test with."""
    if any(row.id.startswith("test/") for row in given):
        chosen = [row.id.startswith("test/") for row in given]
    else:
        chosen = [zlib.crc32(row.id.encode()) % 5 == 0 for row in given]
    pairs = list(zip(given, chosen, strict=True))
    return [row for row, test in pairs if not test], [row for row, test in pairs if test]


def folds(train: Sequence[Row]) -> list[list[Row]]:
    """Stretches of neighbouring ids of each label."""
    parts: list[list[Row]] = [[] for _ in range(FOLDS)]
    for label in sorted({row.label for row in train}):
        members = sorted((row for row in train if row.label == label), key=natural)
        for place, row in enumerate(members):
            parts[place * FOLDS // len(members)].append(row)
    return parts


def natural(row: Row) -> list[tuple[int, str]]:
    """Its id in the order of the numbers in it."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", row.id)]


def compare(
    bench: Bench,
    report: Report,
    train: Sequence[Row],
    test: Sequence[Row],
    only: Sequence[str] | None,
    given: bool,
) -> None:
    """The product's presets and the others; `given` tells that the rows are not generated."""
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
    if given and len(train) == len(test) == REVIEWS:
        report.bounds += floors(found)


def floors(found: Mapping[str, Result]) -> Iterable[Bound]:
    """What the presets have to reach on aclImdb, which is told by its sizes."""
    for one, least in zip(OWN, LEAST_OF_REVIEWS, strict=True):
        if it := found.get(one.name):
            yield Bound(f"% right, {one.name}", 100 * it.accuracy, least, True)


def bounds(found: Mapping[str, Result]) -> Iterable[Bound]:
    """What issue and README promise, as far as it was measured."""
    fast, default, accurate = (found.get(one.name) for one in OWN)
    vw, nb_svm = found.get(OTHERS[0].name), found.get(OTHERS[-1].name)
    for name, it in found.items():
        if name.startswith("linear"):
            yield Bound(f"MB of the model, {name}", it.model_megabytes, 10)
    if vw and fast:
        yield Bound(
            "fast: more points than Vowpal Wabbit's first row", 100 * (fast.accuracy - vw.accuracy), 0, True
        )
        yield Bound("fast: CPU time of Vowpal Wabbit's first row", fast.cpu_seconds / vw.cpu_seconds, 1)
    if vw and default:
        yield Bound(
            "default: CPU time of Vowpal Wabbit's first row", default.cpu_seconds / vw.cpu_seconds, 1.7
        )
    if vw and default:
        yield Bound("default: more points", 100 * (default.accuracy - vw.accuracy), 0, True)
    if nb_svm and accurate:
        yield Bound("accurate: CPU time of NB-SVM", accurate.cpu_seconds / nb_svm.cpu_seconds, 1)
        yield Bound("accurate: more points than NB-SVM", 100 * (accurate.accuracy - nb_svm.accuracy), 0, True)


def cells(name: str, it: Result) -> list[object]:
    """A line of the table."""
    sure = [f"{it.log_loss:.3f}", f"{it.ece:.3f}"] if it.log_loss is not None else ["", ""]
    return [
        *(name, f"{it.accuracy:.4f}", it.cpu_seconds, it.seconds, it.megabytes),
        *(f"{it.model_megabytes:.1f}", *sure),
    ]


def compare_settings(bench: Bench, report: Report, train: Sequence[Row]) -> None:
    """Each variant on each fold, trained on the others."""
    parts = folds(train)
    found: dict[str, list[Result]] = {}
    for variant in VARIANTS:
        name = ", ".join(f"{key} {value}" for key, value in variant.items()) or "the default"
        one = Classifier(name, "linear", variant)
        for place, held in enumerate(parts):
            rest = [row for other in parts[:place] + parts[place + 1 :] for row in other]
            found.setdefault(name, []).append(bench.run(one, rest, held))
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
