"""Judges a model's answers over the test split, in Model Monitor's schema."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from heapq import nsmallest
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from errors import QualityError
from metrics import Matrix, constant_classifier, deviations, metrics

SAMPLES = 4
SAMPLE_CHARACTERS = 2000  # of a sample's text, wherever there is one as short
VERSION = 0.0  # of Model Monitor's schema


def evaluate(base: Path) -> None:
    """Read processing/input/{predictions,test,labels} and write processing/output/quality.

    Raises:
        QualityError: A test row has no label, no prediction or two, or an input is malformed.
    """
    source, target = base / "processing/input", base / "processing/output/quality"
    actual = by_id(source / "labels", "label")
    predicted = by_id(source / "predictions", "label")
    require_same(actual, predicted, "prediction")
    candidates = shortest_texts(source / "test", actual)
    names, confusion = confusion_matrix(actual, predicted)
    values = {name: float(value) for name, value in metrics(confusion).items()}
    target.mkdir(parents=True, exist_ok=True)
    write(target / "statistics.json", statistics(names, confusion, values))
    write(target / "constraints.json", constraints(values))
    with (target / "samples.jsonl").open("w", encoding="utf-8") as file:
        for sample in samples(source / "predictions", candidates, actual):
            file.write(json.dumps(sample) + "\n")
    print(f"{len(actual):,} rows; " + "; ".join(f"{name}={value:.4f}" for name, value in values.items()))


def statistics(names: list[str], confusion: Matrix, values: Mapping[str, float]) -> dict[str, Any]:
    """What the model does, and what always answering the most frequent label would."""
    spread = deviations(confusion)
    baseline = constant_classifier(confusion)
    constant, constant_spread = metrics(baseline), deviations(baseline)
    measured: dict[str, Any] = {
        "confusion_matrix": {
            name: {other: int(n) for other, n in zip(names, row, strict=True)}
            for name, row in zip(names, confusion, strict=True)
        }
    }
    for name, value in values.items():
        measured[name] = {"value": value, "standard_deviation": spread[name]}
    for name, matrix in constant.items():
        measured[f"{name}_best_constant_classifier"] = {
            "value": float(matrix),
            "standard_deviation": constant_spread[name],
        }
    return {
        "version": VERSION,
        "dataset": {
            "item_count": int(confusion.sum()),
            "evaluation_time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        },
        "multiclass_classification_metrics": measured,
    }


def constraints(values: Mapping[str, float]) -> dict[str, Any]:
    """A monitoring schedule alarms when the model falls below what it does now."""
    return {
        "version": VERSION,
        "multiclass_classification_constraints": {
            name: {"threshold": value, "comparison_operator": "LessThanThreshold"}
            for name, value in values.items()
        },
    }


def confusion_matrix(actual: Mapping[str, str], predicted: Mapping[str, str]) -> tuple[list[str], Matrix]:
    """Count the rows by actual and predicted label."""
    names = sorted({*actual.values(), *predicted.values()})
    place = {name: i for i, name in enumerate(names)}
    pairs = np.array([place[label] * len(names) + place[predicted[key]] for key, label in actual.items()])
    counts = np.bincount(pairs, minlength=len(names) ** 2)
    return names, counts.reshape(len(names), len(names)).astype(np.float64)


def shortest_texts(folder: Path, actual: Mapping[str, str]) -> dict[str, str]:
    """The shortest test rows by id, taking the labels by turns; long ones only if all are long.

    Raises:
        QualityError: The test rows are not the labelled ones.
    """
    lengths: dict[str, list[tuple[int, str]]] = defaultdict(list)
    seen: dict[str, str] = {}
    for where, row in read(folder, "text"):
        if row["id"] in seen:
            raise QualityError(f"{where}: a second test row with the id '{row['id']}'")
        seen[row["id"]] = ""
        if row["id"] in actual:
            lengths[actual[row["id"]]].append((len(row["text"]), row["id"]))
    require_same(actual, seen, "test row")
    turns = zip_longest(*(nsmallest(SAMPLES, lengths[label]) for label in sorted(lengths)))
    candidates = [item for item in chain.from_iterable(turns) if item is not None]
    short = [item for item in candidates if item[0] <= SAMPLE_CHARACTERS]
    chosen = [key for _, key in (short or candidates)[:SAMPLES]]
    texts = {row["id"]: row["text"] for _, row in read(folder, "text") if row["id"] in set(chosen)}
    return {key: texts[key] for key in chosen}


def samples(folder: Path, texts: Mapping[str, str], actual: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the chosen rows with the model's answer, in their order."""
    answers = {row["id"]: (where, row) for where, row in read(folder, "label") if row["id"] in texts}
    for key, text in texts.items():
        where, answer = answers[key]
        if not isinstance(answer.get("probabilities"), dict):
            raise QualityError(f"{where}: the prediction has no probabilities")
        yield {
            "id": key,
            "text": text,
            "label": answer["label"],
            "actual": actual[key],
            "probabilities": answer["probabilities"],
        }


def by_id(folder: Path, column: str) -> dict[str, str]:
    """One column of a folder's rows by id."""
    values: dict[str, str] = {}
    for where, row in read(folder, column):
        if row["id"] in values:
            raise QualityError(f"{where}: a second row with the id '{row['id']}'")
        values[row["id"]] = row[column]
    if not values:
        raise QualityError(f"there is no row in {folder.name}")
    return values


def require_same(actual: Mapping[str, str], other: Mapping[str, str], noun: str) -> None:
    """Refuse when a labelled row has no counterpart, or a counterpart no label."""
    if missing := actual.keys() - other.keys():
        raise QualityError(f"labels without a {noun}: {len(missing):,}, for example of '{min(missing)}'")
    if extra := other.keys() - actual.keys():
        raise QualityError(f"{noun}s without a label: {len(extra):,}, for example '{min(extra)}'")


def read(folder: Path, column: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each JSON Lines row stands, and the row."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    where = f"{folder.name}/{path.name}, line {number}"
                    yield where, parse(where, line, column)


def parse(where: str, line: str, column: str) -> dict[str, Any]:
    """Return a row that has an id and this column, both strings."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise QualityError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise QualityError(f"{where}: not a JSON object")
    for name in ("id", column):
        if not isinstance(row.get(name), str):
            raise QualityError(f"{where}: no '{name}'")
    return row


def write(file: Path, content: dict[str, Any]) -> None:
    """Write one JSON document."""
    file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
