"""A small sample job for the check: channels, hyperparameters, metrics and requests.

train/… validation/…   one folder per channel; the check corrupts copies of `train`
hyperparameters.json   HyperParameters of CreateTrainingJob: strings by name; optional
interrupted.json       the same for a training that lasts long enough to be interrupted; optional
metrics.json           MetricDefinitions of CreateTrainingJob; optional
request.jsonl          one request per content type, also request.json and request.csv; with different rows
refused/…              invalid bodies with the suffixes of the requests; optional
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.container_check.errors import SampleError
from localaws.sagemaker.api.shapes import Document

TYPES = {".jsonl": "application/jsonlines", ".json": "application/json", ".csv": "text/csv"}
BY_LINE = ("application/jsonlines", "text/csv")  # one record per line, which batch transform can split
REFUSED = "refused"
MIN_ROWS = 2


@dataclass(frozen=True)
class Sample:
    """The data and requests for the check.

    Attributes:
        channels: folders by channel name.
        hyperparameters: the hyperparameters of a normal training.
        interrupted: the hyperparameters of a training that is interrupted.
        metrics: MetricDefinitions.
        requests: bodies by content type.
        refused: content types and bodies that must be rejected, by file name.
    """

    channels: Mapping[str, Path]
    hyperparameters: Mapping[str, str]
    interrupted: Mapping[str, str]
    metrics: Sequence[Document]
    requests: Mapping[str, bytes]
    refused: Mapping[str, tuple[str, bytes]]

    @property
    def corrupted_channel(self) -> str:
        """The channel that is corrupted to test error handling: `train`, else the first."""
        return "train" if "train" in self.channels else min(self.channels)

    @property
    def line_type(self) -> str | None:
        """The content type of the request with one row per line; None if there is no such request."""
        return next((name for name in BY_LINE if name in self.requests), None)

    def rows(self) -> list[bytes]:
        """Return the rows of the request of `line_type`."""
        return self.requests[self.line_type].splitlines() if self.line_type else []


NO_SAMPLE = Sample({}, {}, {}, [], {}, {})


def load(folder: Path) -> Sample:
    """Read a sample.

    Raises:
        SampleError: the folder does not exist, or one of its files is invalid.
    """
    if not folder.is_dir():
        raise SampleError(f"There is no sample at {folder}: specify a folder with --sample")
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
        raise SampleError(f"The sample {folder} has no channel: create a folder `train` in it")
    if sample.line_type and len(sample.rows()) < MIN_ROWS:
        raise SampleError(f"The request of {folder} has fewer than {MIN_ROWS} rows: add more rows")
    return sample


def _typed(folder: Path | None) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in TYPES) if folder else []


def _strings(path: Path) -> dict[str, str]:
    content = _json(path, {})
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise SampleError(
            f"{path} must be an object of strings, like the HyperParameters of CreateTrainingJob"
        )
    return content


def _definitions(path: Path) -> list[dict[str, str]]:
    content = _json(path, [])
    if not isinstance(content, list) or not all(
        isinstance(item, dict) and {"Name", "Regex"} <= set(item) for item in content
    ):
        raise SampleError(f"{path} must be a list of objects with Name and Regex")
    return content


def _json(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise SampleError(f"{path} is not JSON: {error}") from error
