"""A tiny job to try a container with: channels, hyperparameters, metrics, requests.

train/… validation/…   every folder is a channel; the one that is spoiled on purpose is `train`
hyperparameters.json   strings by name, as CreateTrainingJob takes them; may be left out
interrupted.json       the same, with which training lasts long enough to be interrupted; may be left out
metrics.json           CreateTrainingJob's MetricDefinitions; may be left out
request.jsonl          a request a content type, also request.json and request.csv; no two rows alike
refused/…              bodies to refuse, named as the requests are; may be left out
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.container_check.errors import SampleError
from localaws.sagemaker.api.shapes import Document

TYPES = {".jsonl": "application/jsonlines", ".json": "application/json", ".csv": "text/csv"}
BY_LINE = ("application/jsonlines", "text/csv")  # one record a line: what batch transform can split
REFUSED = "refused"
MIN_ROWS = 2


@dataclass(frozen=True)
class Sample:
    """What a container is tried with.

    Attributes:
        channels: folders by name.
        hyperparameters: of an ordinary training.
        interrupted: of one that lasts.
        metrics: MetricDefinitions.
        requests: a body by content type.
        refused: content types and bodies that have to be refused, by file name.
    """

    channels: Mapping[str, Path]
    hyperparameters: Mapping[str, str]
    interrupted: Mapping[str, str]
    metrics: Sequence[Document]
    requests: Mapping[str, bytes]
    refused: Mapping[str, tuple[str, bytes]]

    @property
    def corrupted_channel(self) -> str:
        """The channel that is spoiled to see what a container says: `train`, else the first."""
        return "train" if "train" in self.channels else min(self.channels)

    @property
    def line_type(self) -> str | None:
        """The content type whose requests hold a row a line."""
        return next((name for name in BY_LINE if name in self.requests), None)

    def rows(self) -> list[bytes]:
        """The rows of the request of `line_type`."""
        return self.requests[self.line_type].splitlines() if self.line_type else []


NO_SAMPLE = Sample({}, {}, {}, [], {}, {})


def load(folder: Path) -> Sample:
    """Read a sample.

    Raises:
        SampleError: it is not there, or a file of it cannot be used.
    """
    if not folder.is_dir():
        raise SampleError(f"There is no sample at {folder}: name a folder with --sample")
    folders = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    refused = folders.pop(REFUSED, None)
    hyperparameters = _strings(folder / "hyperparameters.json")
    sample = Sample(
        channels=folders,
        hyperparameters=hyperparameters,
        interrupted=_strings(folder / "interrupted.json") or hyperparameters,
        metrics=_definitions(folder / "metrics.json"),
        requests={TYPES[path.suffix]: path.read_bytes() for path in _typed(folder) if path.stem == "request"},
        refused={path.name: (TYPES[path.suffix], path.read_bytes()) for path in _typed(refused)},
    )
    if not sample.channels:
        raise SampleError(f"The sample {folder} has no channel: make a folder `train` in it")
    if sample.line_type and len(sample.rows()) < MIN_ROWS:
        raise SampleError(f"The request of {folder} has fewer than {MIN_ROWS} rows: add some")
    return sample


def _typed(folder: Path | None) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in TYPES) if folder else []


def _strings(path: Path) -> dict[str, str]:
    content = _json(path, {})
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise SampleError(
            f"{path} has to be an object of strings, as CreateTrainingJob's HyperParameters are"
        )
    return content


def _definitions(path: Path) -> list[dict[str, str]]:
    content = _json(path, [])
    if not isinstance(content, list) or not all(
        isinstance(item, dict) and {"Name", "Regex"} <= set(item) for item in content
    ):
        raise SampleError(f"{path} has to be a list of objects with Name and Regex")
    return content


def _json(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise SampleError(f"{path} is not JSON: {error}") from error
