"""The result of a benchmark: figures, bounds, and the machine that it ran on."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Bound:
    """A bound for a measured value, usually a ratio to a named peer.

    Attributes:
        what: the description of the value, including the peer.
        value: the measured value.
        limit: the minimum or maximum.
        at_least: whether `limit` is a minimum.
    """

    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def held(self) -> bool:
        """Whether the value meets the bound."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        limit = f"at {'least' if self.at_least else 'most'} {ratio(self.limit)}"
        return f"{'held  ' if self.held else 'MISSED'}  {self.what}: {ratio(self.value)} ({limit})"


@dataclass
class Report:
    """The result of a benchmark."""

    name: str
    data: str
    figures: dict[str, Any] = field(default_factory=dict)
    bounds: list[Bound] = field(default_factory=list)
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: str = field(default_factory=lambda: machine())
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    @property
    def exit_code(self) -> int:
        """0 if all bounds are met, else 1."""
        return 0 if all(bound.held for bound in self.bounds) else 1

    def content(self) -> dict[str, Any]:
        """Return the result as a JSON document."""
        bounds = [asdict(bound) | {"held": bound.held} for bound in self.bounds]
        return asdict(self) | {"bounds": bounds}

    def conclude(self, file: Path | None) -> int:
        """Print the bounds, write the JSON file if `file` is set, and return the exit code."""
        print(f"\n{self.name} over {self.data}; {self.machine}; {self.date}")
        print(f"load average {self.load:.1f} before, {os.getloadavg()[0]:.1f} after\n")
        print(*self.bounds, sep="\n", flush=True)
        if file:
            file.write_text(json.dumps(self.content(), indent=2) + "\n", "utf-8")
        return self.exit_code


def machine() -> str:
    """Return a description of the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 1e9
    return f"{cores} cores, {memory:.0f} GB memory, {platform.system()}, Python {platform.python_version()}"


def ratio(value: float) -> str:
    """Format a ratio with three significant digits, or more if above 1,000: 1.07, 5.12, 24.9, 1,250."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an aligned Markdown table; all columns but the first are right-aligned."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        " | ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    rule = "|".join("-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths))
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
