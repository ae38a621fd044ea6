"""Show a run: a live picture on a terminal, otherwise one line per change."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.history import State, utc_now
from demo.progress import Progress, Step

SIDE_BY_SIDE_COLUMNS = 100  # a narrower terminal would truncate names
WIDEST_COLUMNS = 130
FRAME_ROWS, MIN_ROWS = 6, 8
HIDDEN_KINDS = ("Choice", "Pass")
QUIET_KIND = "Condition"  # steps of this kind are shown after their decision, without mark and duration
STEP_MARKS = {
    "Succeeded": "done",
    "Failed": "failed",
    "Executing": "open",
    "Starting": "open",
    "Stopped": "failed",
}
ENDPOINT_MARKS = {"InService": "done", "Failed": "failed", "none": "waiting"}
GLYPHS = {
    "done": ("✓", "v", "green"),
    "failed": ("✗", "x", "red"),
    "open": ("●", "*", "cyan"),
    "caught": ("!", "!", "yellow"),
}
PLAIN_LABELS = {"open": "started", "done": "done", "caught": "failed, caught", "failed": "failed"}
WAITING = ("·", ".", "dim")


class View(Protocol):
    """Shows a run during its execution and after its end."""

    def show(self, progress: Progress) -> None:
        """Show the current progress."""

    def finish(self, progress: Progress) -> None:
        """Show the ended run permanently."""


class LiveView:
    """Redraw the picture in place, and print it once at the end."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live

    def show(self, progress: Progress) -> None:
        """Redraw the picture."""
        rows = max(MIN_ROWS, self._console.height - FRAME_ROWS)
        self._live.update(picture(progress, self._console, rows), refresh=True)

    def finish(self, progress: Progress) -> None:
        """Print the final picture."""
        self._console.print(picture(progress, self._console))


class PlainView:
    """Print one line per change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed: set[tuple[str, str, str]] = set()

    def show(self, progress: Progress) -> None:
        """Print the changes since the last call."""
        now = utc_now()
        for state in _shown(progress):
            self._print(progress, "state", state.name, PLAIN_LABELS[_condition(state)], state.duration(now))
        for number, training in enumerate(progress.trainings, start=1):
            if training.objective is not None:
                self._print(
                    progress, "training", f"{number}: {training.name}", f"{training.objective:.4f}", 0.0
                )
        for step in progress.steps:
            if step.kind != QUIET_KIND or step.note:
                self._print(progress, "step", step.name, step.status, step.duration(now), step.note)
        for name, status in progress.endpoints.items():
            self._print(progress, "endpoint", name, status, 0.0)

    def finish(self, progress: Progress) -> None:
        """Print the run's final status."""
        self._console.print(
            f"{_clock(progress.elapsed)}  execution {progress.name} {progress.status}", soft_wrap=True
        )

    def _print(
        self, progress: Progress, kind: str, name: str, status: str, seconds: float, note: str = ""
    ) -> None:
        if (kind, name, status) in self._printed:
            return
        self._printed.add((kind, name, status))
        ended = status not in ("started", "Starting", "Executing")
        suffix = f"  {duration(seconds)}" if ended and seconds else ""
        suffix += f"  {note}" if ended and note else ""
        self._console.print(
            f"{_clock(progress.elapsed)}  {kind:<8}  {name:<32}  {status}{suffix}", soft_wrap=True
        )


@contextmanager
def open_view(console: Console) -> Iterator[View]:
    """Open a live view on a terminal, otherwise a plain one."""
    if not console.is_terminal:
        yield PlainView(console)
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield LiveView(console, live)


def picture(progress: Progress, console: Console, rows: int | None = None) -> RenderableType:
    """Draw the newest `rows` states of the workflow next to the pipeline and the endpoints."""
    now = utc_now()
    ascii_only = console.options.ascii_only
    states = _shown(progress)
    newest = states[-rows:] if rows else states
    title = "Workflow" if newest == states else f"Workflow, the newest {len(newest)} of {len(states)} states"
    workflow = _list(title, [_state_row(state, now, ascii_only) for state in newest])
    steps = _list("Pipeline", [_step_row(step, now, ascii_only) for step in progress.steps])
    endpoints = _list("Endpoints", [_endpoint_row(*each, ascii_only) for each in progress.endpoints.items()])
    right = Group(steps, Text(), endpoints)
    if console.width < SIDE_BY_SIDE_COLUMNS:
        return Group(workflow, Text(), right, _status(progress))
    grid = Table.grid(padding=(0, 3), expand=True)
    grid.width = min(console.width, WIDEST_COLUMNS)
    grid.add_column(ratio=40)
    grid.add_column(ratio=57)
    grid.add_row(workflow, right)
    return Group(grid, _status(progress))


def duration(seconds: float) -> str:
    """Format seconds, such as `9.9 s` or `3 min 05 s`."""
    whole = round(seconds)
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _shown(progress: Progress) -> list[State]:
    return [state for state in progress.history.states.values() if state.kind not in HIDDEN_KINDS]


def _list(title: str, rows: Sequence[tuple[Text, str | Text, str, str]]) -> Table:
    table = Table(
        box=None, expand=True, padding=(0, 1, 0, 0), title=title, title_justify="left", title_style="bold"
    )
    table.show_header = False
    table.add_column(width=1)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    if not rows:
        table.add_row(Text("·", "dim"), Text("not started", "dim"), "", "")
    return table


def _state_row(state: State, now: datetime, ascii_only: bool) -> tuple[Text, str, str, str]:
    condition = _condition(state)
    note = "caught" if condition == "caught" else f"{state.visits} times" if state.visits > 1 else ""
    return _glyph(condition, ascii_only), state.name, note, duration(state.duration(now))


def _step_row(step: Step, now: datetime, ascii_only: bool) -> tuple[Text, str | Text, str, str]:
    if step.kind == QUIET_KIND:
        return Text(), Text(step.name, "dim"), step.note, ""
    mark = _glyph(STEP_MARKS.get(step.status, ""), ascii_only)
    return mark, step.name, step.note or step.kind, duration(step.duration(now))


def _endpoint_row(name: str, status: str, ascii_only: bool) -> tuple[Text, str, str, str]:
    return _glyph(ENDPOINT_MARKS.get(status, "open"), ascii_only), name, "", status


def _glyph(mark: str, ascii_only: bool) -> Text:
    pretty, plain, style = GLYPHS.get(mark, WAITING)
    return Text(plain if ascii_only else pretty, style)


def _status(progress: Progress) -> Text:
    style = {"RUNNING": "cyan", "SUCCEEDED": "green"}.get(progress.status, "red")
    open_states = ", ".join(state.name for state in progress.history.current)
    line = Text.assemble(("\n" + progress.status, f"bold {style}"), f"  {_clock(progress.elapsed)}  ")
    return line.append(open_states or f"execution {progress.name}", "dim")


def _condition(state: State) -> str:
    """Return a state's condition; `caught` is an error that the workflow handled."""
    if state.failed:
        return "failed"
    if state.since:
        return "open"
    return "caught" if state.caught else "done"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02}:{rest:02}"
