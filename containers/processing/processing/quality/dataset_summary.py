"""Read dataset.json, the report of the dataset that a model was made with."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from processing.errors import QualityError


class Part(NamedTuple):
    """One split of the dataset."""

    name: str
    rows: int
    labels: dict[str, int]


class HeldLabel(NamedTuple):
    """A label whose rows are held back, because it is like an earlier one."""

    label: str
    like: str
    rows: int


class Summary(NamedTuple):
    """The dataset's summary."""

    as_of: str
    query: str
    sha256: str
    parts: list[Part]
    sources: dict[str, int]
    dropped: int  # training texts that are also in the test split
    ingested: int  # records that this run added
    quarantined_rows: int  # of the files that this run read
    quarantined_files: dict[str, str]  # quarantined whole, with the reasons
    new_labels: dict[str, int]  # rows of labels that no record had before this run
    held_labels: list[HeldLabel]
    omitted_labels: dict[str, int]  # rows of labels that are left out
    invalid_records: dict[str, str]  # their number, with an example, by what is wrong with them

    @property
    def trained(self) -> set[str]:
        """Return the labels that have training rows."""
        return {label for part in self.parts if part.name == "train" for label in part.labels}

    @property
    def labels(self) -> set[str]:
        """Return every label of the dataset."""
        return {label for part in self.parts for label in part.labels}


def read_summary(folder: Path) -> Summary:
    """Read a dataset's report.

    Raises:
        QualityError: The file is missing, or not as `create_dataset` writes it.
    """
    file = folder / "dataset.json"
    try:
        return parse_summary(json.loads(file.read_bytes()))
    except OSError as error:
        raise QualityError(
            f"{folder.name}/dataset.json cannot be read; is it an input of the job?"
        ) from error
    except (ValueError, RecursionError) as error:
        raise QualityError(f"{folder.name}/dataset.json: not JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise QualityError(
            f"{folder.name}/dataset.json is not as create_dataset writes it: {reason}"
        ) from error


def parse_summary(content: dict[str, Any]) -> Summary:
    """Parse a summary from JSON."""
    return Summary(
        as_of=str(content["asOf"]),
        query=str(content["query"] or "unknown"),
        sha256=str(content["sha256"]),
        parts=[
            Part(name, int(part["rows"]), {label: int(rows) for label, rows in part["labels"].items()})
            for name, part in content["splits"].items()
        ],
        sources={source: int(rows) for source, rows in content["sources"].items()},
        dropped=int(content["trainTextsAlsoInTest"]),
        ingested=int(content["ingested"]["records"]),
        quarantined_rows=int(content["ingested"]["quarantinedRows"]),
        quarantined_files={str(k): str(v) for k, v in content["ingested"]["quarantinedFiles"].items()},
        new_labels=dict(content["ingested"]["newLabels"]),
        held_labels=[HeldLabel(**item) for item in content["ingested"]["heldLabels"]],
        omitted_labels=dict(content["omittedLabels"]),
        invalid_records=dict(content["invalidRecords"]),
    )
