"""Read labelled texts from the JSON Lines files of a channel."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.decoding import decode
from toolkit.errors import TrainingDataError


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled texts, stored by column."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)


def read(folder: Path) -> Rows:
    """Read every JSON Lines file of a channel, sorted by path; return no rows if the folder does not exist.

    Raises:
        TrainingDataError: A line is not an object with a text and a label.
    """
    rows = Rows()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.isspace():
                    _add(rows, line, f"{path.name}, line {number}")
    return rows


def _add(rows: Rows, line: bytes, where: str) -> None:
    try:
        row = decode(line)
    except ValueError as error:
        raise TrainingDataError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise TrainingDataError(f"{where}: not a JSON object")
    text, label = row.get("text"), row.get("label")
    if not isinstance(text, str) or not isinstance(label, str):
        raise TrainingDataError(f"{where}: no '{'label' if isinstance(text, str) else 'text'}'")
    rows.texts.append(text)
    rows.labels.append(sys.intern(label))


def training_labels(rows: Rows) -> list[str]:
    """Return the sorted labels of the channel train, the order of a classifier's probabilities.

    Raises:
        TrainingDataError: There are fewer than two labels.
    """
    labels = sorted(set(rows.labels))
    if not labels:
        raise TrainingDataError("the channel train has no rows")
    if len(labels) < 2:
        raise TrainingDataError(f"all {len(rows):,} rows have the label '{labels[0]}'; two are needed")
    return labels


def label_indices(rows: Rows, labels: Sequence[str]) -> NDArray[np.int64]:
    """Return the index of each row's label in `labels`, of shape (rows,).

    Raises:
        TrainingDataError: A label is not in `labels`.
    """
    indices = {label: index for index, label in enumerate(labels)}
    if unknown := set(rows.labels) - indices.keys():
        raise TrainingDataError(
            f"the channel validation has the label '{min(unknown)}', which the channel train lacks"
        )
    return np.fromiter((indices[label] for label in rows.labels), np.int64, len(rows))


def hold_out(actual: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Select this fraction of each label's rows, rounded down, so that every label keeps rows to train on.

    Args:
        actual: The result of `label_indices`.
    """
    random = np.random.default_rng(seed)
    held = np.zeros(len(actual), np.bool_)
    for label in np.unique(actual):
        members = random.permutation(np.flatnonzero(actual == label))
        held[members[: int(len(members) * fraction)]] = True
    return held
