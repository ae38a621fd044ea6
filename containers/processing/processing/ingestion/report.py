"""Report the outcome of every row: `ingest` writes the report on each instance, also when it fails."""

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from processing.errors import RejectedFilesError
from processing.ingestion.deletions import DeletionReport
from processing.ingestion.plan import Source
from processing.ingestion.rows import Lines
from processing.outputs import write_json

Verdict = Literal["INGESTED", "QUARANTINED", "UNREADABLE", "VANISHED"]
VANISHED: Verdict = "VANISHED"


@dataclass(slots=True)
class FileReport:
    """The rows of one file; every row is counted as good, bad, skipped or held back, and so are its lines."""

    source: Source
    good: int = 0
    bad: int = 0
    skipped: int = 0
    records: int = 0  # of the good rows; rows of one id are one record
    reason: str | None = None  # why nothing of the file is ingested
    refusal: str = ""  # the first of the feature store
    unread: Verdict | None = None  # the object could not be read
    lines: Lines = field(default_factory=Lines)
    good_lines: int = 0
    bad_lines: int = 0
    skipped_lines: int = 0
    labels: Counter[str] = field(default_factory=Counter)  # of good rows
    held: Counter[str] = field(default_factory=Counter)  # rows by their label, which needs a decision
    likes: dict[str, str] = field(default_factory=dict)  # of a label that is held back: the earlier one
    new: frozenset[str] = frozenset()  # the labels that no earlier record has
    skips: Counter[str] = field(default_factory=Counter)  # rows by the reason for which they are skipped
    notes: list[str] = field(default_factory=list)  # what somebody should look at

    @property
    def rows(self) -> int:
        """Return the number of rows read."""
        return self.good + self.bad + self.skipped + self.held.total()

    @property
    def ingested(self) -> int:
        """Return the number of rows that become records."""
        return 0 if self.reason else self.good

    @property
    def quarantined(self) -> int:
        """Return the number of rows that are refused."""
        return self.rows - self.ingested - self.skipped

    @property
    def new_labels(self) -> dict[str, int]:
        """Return the rows of each new label that become records."""
        if self.reason:
            return {}
        return {label: rows for label, rows in sorted(self.labels.items()) if rows and label in self.new}

    @property
    def verdict(self) -> Verdict:
        """Return whether the file's good rows become records, or why none does."""
        return self.unread or ("QUARANTINED" if self.reason else "INGESTED")

    def refuse(self, label: str, lines: int) -> None:
        """Count a good row as bad: the feature store refuses its record."""
        self.good -= 1
        self.bad += 1
        self.good_lines -= lines
        self.bad_lines += lines
        self.labels[label] -= 1
        self.labels += Counter()  # without a label that has no row

    def content(self) -> dict[str, Any]:
        """Return the file's entry in the report."""
        return {
            "key": self.source.key,
            "etag": self.source.etag,
            "eventTime": self.source.event_time,
            "rows": self.rows,
            "ingested": self.ingested,
            "skipped": self.skipped,
            "quarantined": self.quarantined,
            "verdict": self.verdict,
            "reason": self.reason,
            "lines": self.line_counts(),
            "labels": dict(sorted(self.labels.items())),
            "newLabels": self.new_labels,
            "heldLabels": [
                {"label": label, "like": self.likes[label], "rows": rows}
                for label, rows in sorted(self.held.items())
            ],
            "skips": dict(self.skips),
            "notes": self.notes,
        }

    def line_counts(self) -> dict[str, int] | None:
        """Return what became of each physical line; None if the format has no lines."""
        if not self.lines.read:
            return None
        return {
            "read": self.lines.read,
            "rows": self.good_lines,
            "skipped": self.skipped_lines,
            "quarantined": self.bad_lines,
            "other": self.lines.other,
        }

    @property
    def lost_lines(self) -> int:
        """Return the number of lines read that are in no row; anything but 0 is a fault of the reader."""
        counted = self.good_lines + self.bad_lines + self.skipped_lines + self.lines.other
        return self.lines.read - counted

    def __str__(self) -> str:
        counts = f"{self.source.key}: {self.rows:,} rows, {self.ingested:,} ingested"
        if self.skipped:
            counts += f", {self.skipped:,} skipped"
        if self.quarantined or self.reason:
            counts += f", {self.quarantined:,} quarantined"
        return "; ".join([f"{counts}: {self.reason}" if self.reason else counts, *self.notes])


@dataclass(slots=True)
class WriteCounts:
    """The number of records written, of calls made, and of retries among them."""

    records: int = 0
    calls: int = 0
    retries: int = 0


class Report:
    """The reports of the files and the write counts; written when the context ends."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.files: list[FileReport] = []
        self.counts = WriteCounts()
        self.deletions: DeletionReport | None = None  # of the instance that deletes
        self.started = time.monotonic()

    def add(self, file: FileReport) -> None:
        """Add a file, and print its counts."""
        self.files.append(file)
        print(file, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        content = {
            "files": [file.content() for file in self.files],
            "records": self.counts.records,
            "calls": self.counts.calls,
            "retries": self.counts.retries,
            **({"deletions": self.deletions.content()} if self.deletions else {}),
            "seconds": round(time.monotonic() - self.started, 3),
        }
        write_json(self.file, content)


def read_reports(folder: Path) -> tuple[list[dict[str, Any]], bool]:
    """Return the files of all instances' reports, sorted by key, and whether the run forgot anything."""
    reports = [json.loads(file.read_text("utf-8")) for file in folder.rglob("*.json")]
    files = sorted((entry for report in reports for entry in report["files"]), key=itemgetter("key"))
    return files, any(report.get("deletions", {}).get("forgets") for report in reports)


def reject_if_all_quarantined(files: Iterable[dict[str, Any]]) -> None:
    """Raise an error if there are files and all of them are refused; those that vanished do not count.

    Raises:
        RejectedFilesError: The message lists each file with its reason.
    """
    reasons = [(entry["key"], entry["reason"]) for entry in files if entry["verdict"] != VANISHED]
    if reasons and all(reason for _, reason in reasons):
        raise RejectedFilesError(reasons)
