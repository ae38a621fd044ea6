"""The view of a run on a terminal and in a log."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from demo.details import Training
from demo.history import State
from demo.progress import Progress, Step
from demo.view import PlainView, duration, open_view, picture

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("progress", "view"):
        monkeypatch.setattr(f"demo.{module}.utc_now", lambda: NOW)


def progress() -> Progress:
    it = Progress("arn:aws:states:us-east-1:1:execution:retrain:one", started=NOW - timedelta(seconds=65))
    it.history.states = {
        "ClaimLock": State("ClaimLock", "Task", 1, 0.2),
        "AnythingNew?": State("AnythingNew?", "Choice", 1),
        "WaitForPipeline": State("WaitForPipeline", "Wait", 3, 12.0, 1, NOW),
        "DescribeEndpoint": State("DescribeEndpoint", "Task", 1, 0.1, caught=True),
    }
    it.steps = [Step("TrainModel", "Training", "Executing", NOW - timedelta(seconds=5), None, "")]
    it.endpoints = {"retrain-realtime": "InService", "retrain-async": "Creating"}
    return it


def console(width: int = 100, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, height=40, force_terminal=terminal, highlight=False)


def text(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [60, 100])
def test_the_picture_fits_and_is_complete(width: int) -> None:
    screen = console(width)
    screen.print(picture(progress(), screen))
    output = text(screen)
    assert all(len(line) <= width for line in output.splitlines())
    for word in (
        "ClaimLock",
        "3 times",
        "caught",
        "TrainModel",
        "retrain-async",
        "Creating",
        "RUNNING",
        "01:05",
    ):
        assert word in output
    assert "AnythingNew?" not in output


def test_a_small_terminal_shows_the_newest_states() -> None:
    screen = console()
    screen.print(picture(progress(), screen, rows=2))
    assert "the newest 2 of 3 states" in text(screen)
    assert "ClaimLock" not in text(screen)


def test_a_log_has_one_line_per_change_and_no_control_characters() -> None:
    screen, run = console(), progress()
    view = PlainView(screen)
    view.show(run)
    first = text(screen)
    view.show(run)
    assert text(screen) == first
    run.steps = [Step("TrainModel", "Training", "Succeeded", NOW - timedelta(seconds=12), NOW, "")]
    view.show(run)
    added = text(screen).removeprefix(first)
    assert re.fullmatch(r"01:05  step +TrainModel +Succeeded  12 s\n", added)
    assert "\x1b" not in text(screen)
    assert "\r" not in text(screen)


def test_notes_follow_their_steps_and_conditions_are_shown_when_decided() -> None:
    screen, run = console(), progress()
    begun, ended = NOW - timedelta(seconds=12), NOW
    run.steps = [
        Step("IngestRecords", "Processing", "Succeeded", begun, ended, "", "50,000 records"),
        Step("TuneModel", "Tuning", "Executing", begun, None, "", "1 of 2, best 0.9123"),
        Step("AboveFloor", "Condition", "Executing", begun, None, ""),
    ]
    run.trainings = [
        Training("search-001", "Completed", 0.9123, {}),
        Training("search-002", "InProgress", None, {}),
    ]
    view = PlainView(screen)
    view.show(run)
    output = text(screen)
    assert re.search(r"step +IngestRecords +Succeeded  12 s  50,000 records\n", output)
    assert re.search(r"training +1: search-001 +0\.9123\n", output)
    assert "search-002" not in output
    assert "AboveFloor" not in output
    run.steps[2] = Step("AboveFloor", "Condition", "Succeeded", begun, ended, "", "yes")
    run.steps[1] = Step("TuneModel", "Tuning", "Succeeded", begun, ended, "", "2 of 2, best 0.9123")
    run.trainings[1] = Training("search-002", "Completed", 0.9001, {})
    view.show(run)
    assert re.search(r"step +AboveFloor +Succeeded  12 s  yes\n", text(screen))
    assert re.search(r"training +2: .+\n.+ TuneModel +Succeeded", text(screen))
    drawn = console()
    drawn.print(picture(run, drawn))
    assert re.search(r"TuneModel +2 of 2, best 0\.9123", text(drawn))
    assert re.search(r"AboveFloor +yes", text(drawn))


def test_a_wide_terminal_truncates_no_step() -> None:
    run, screen = progress(), console(118)
    trained = "validation:accuracy 0.9123"
    run.steps = [
        Step("EvaluateQuality", "Processing", "Executing", NOW - timedelta(seconds=4), None, ""),
        Step("ScoreTestSplit", "Transform", "Succeeded", NOW - timedelta(minutes=12), NOW, "", trained),
    ]
    screen.print(picture(run, screen))
    assert re.search(r"EvaluateQuality +Processing", text(screen))
    assert re.search(rf"ScoreTestSplit +{trained} +12 min 00 s", text(screen))


def test_the_view_depends_on_the_console() -> None:
    with open_view(console()) as view:
        assert isinstance(view, PlainView)
    with open_view(console(terminal=True)) as view:
        assert not isinstance(view, PlainView)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.97, "10 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7260, "2 h 01 min"),
    ],
)
def test_durations_are_formatted(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
