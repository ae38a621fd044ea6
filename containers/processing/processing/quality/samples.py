"""Select test rows as samples, also for the smoke test of the endpoints: the shortest ones."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from heapq import nsmallest
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from processing.quality.predictions import Codes
from processing.quality.split import Split, read_rows

SAMPLES = 4
SAMPLE_CHARACTERS = 2000  # maximum of a sample's text, if there are texts as short


def choose_samples(split: Split, lengths: Codes) -> list[str]:
    """Return the ids of the shortest rows, alternating between labels; long ones only if all are long."""
    groups: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for key, label, length in zip(split.places, split.labels, lengths.tolist(), strict=True):
        groups[label].append((length, key))
    turns = zip_longest(*(nsmallest(SAMPLES, groups[label]) for label in sorted(groups)))
    candidates = [item for item in chain.from_iterable(turns) if item is not None]
    short = [item for item in candidates if item[0] <= SAMPLE_CHARACTERS]
    return [key for _, key in (short or candidates)[:SAMPLES]]


def samples(
    folder: Path, keys: Collection[str], texts: Mapping[str, str], split: Split
) -> Iterator[dict[str, Any]]:
    """Yield these rows in this order, with the model's predictions."""
    answers = {row["id"]: row for _, row in read_rows(folder, "label") if row["id"] in keys}
    for key in keys:
        yield {
            "id": key,
            "text": texts[key],
            "label": answers[key]["label"],
            "actual": split.labels[split.places[key]],
            "probabilities": answers[key]["probabilities"],
        }
