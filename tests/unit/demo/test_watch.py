"""Finding the execution that an upload started."""

import io
import json
from typing import Any, cast

import pytest
from rich.console import Console

from demo import watch
from demo.errors import RunError
from demo.history import State
from demo.progress import Progress
from demo.stack import Clients, Stack
from demo.upload import Uploaded

STACK = Stack("retrain", "bucket", "arn:machine", "pipeline", "real-time", "async")
A, B = Uploaded("raw/a.csv", "etag"), Uploaded("raw/b.csv", "other")
UPLOADED = (A,)


class Account:
    """A fake state machine.

    Its executions have a name, an end state, and either whether the plan contains the upload or the set of
    planned objects.
    """

    def __init__(self) -> None:
        self.runs: dict[str, tuple[str, bool | set[Uploaded]]] = {}
        self.running: set[str] = set()
        self.upcoming: list[tuple[str, str, bool]] = []
        self.inputs: list[str] = []

    def list_executions(self, **_: object) -> dict[str, object]:
        status = {name: "RUNNING" if name in self.running else "SUCCEEDED" for name in self.runs}
        return {"executions": [{"executionArn": n, "status": status[n]} for n in reversed(self.runs)]}

    def start_execution(self, stateMachineArn: str, input: str) -> dict[str, str]:
        self.inputs.append(input)
        self.arrive()
        return {"executionArn": list(self.runs)[-1]}

    def arrive(self) -> None:
        name, end, planned = self.upcoming.pop(0)
        self.runs[name] = (end, planned)


class Follower(watch.Watch):
    def __init__(self, account: Account, console: Console) -> None:
        super().__init__(cast(Clients, Services(account)), STACK, console)
        self.account, self.followed = account, list[str]()

    def follow(self, execution: str) -> Progress:
        self._seen.add(execution)
        self.followed.append(execution)
        self.account.running.discard(execution)
        end = self.account.runs[execution][0]
        progress = Progress(execution, "FAILED" if end == "Failed" else "SUCCEEDED")
        progress.history.states[end] = State(end, "Succeed")
        return progress

    def _planned(self, progress: Progress) -> set[Uploaded]:
        planned = self.account.runs[progress.name][1]
        return planned if isinstance(planned, set) else {A} if planned else set()


class Services:
    def __init__(self, sfn: Any, s3: Any = None) -> None:
        self.sfn, self.s3 = sfn, s3


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def console() -> Console:
    return Console(record=True, quiet=False, width=100, force_terminal=False)


def test_older_executions_are_ignored(account: Account, console: Console) -> None:
    account.runs["old"] = ("Deployed", True)
    it = Follower(account, console)
    account.runs["new"] = ("Deployed", True)
    assert it.uploaded(UPLOADED).name == "new"
    assert it.followed == ["new"]


def test_a_run_in_progress_is_followed_and_then_the_one_after_it(account: Account, console: Console) -> None:
    account.runs["before"], account.running = ("Deployed", False), {"before"}
    it = Follower(account, console)
    account.runs |= {"echo": ("AlreadyRunning", False), "after": ("Rejected", True)}
    assert it.uploaded(UPLOADED).name == "after"
    assert it.followed == ["before", "echo", "after"]
    assert "already in progress" in console.export_text()


def test_a_run_in_progress_can_include_the_upload(account: Account, console: Console) -> None:
    account.runs["before"], account.running = ("Deployed", True), {"before"}
    assert Follower(account, console).uploaded(UPLOADED).name == "before"


def test_an_upload_that_two_runs_planned_in_parts_is_followed_to_the_second(
    account: Account, console: Console
) -> None:
    it = Follower(account, console)
    account.runs = {"one": ("Deployed", {A}), "two": ("Rejected", {B})}
    assert it.uploaded((A, B)).name == "two"
    assert it.followed == ["one", "two"]


def test_the_plan_is_read_from_the_run_s_plan_uri(account: Account, console: Console) -> None:
    class Bucket:
        def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
            assert (Bucket, Key) == ("bucket", "plans/abc/plan.json")
            objects = [
                {"key": "raw/a.csv", "etag": "etag", "size": 1, "eventTime": "2026-01-01T00:00:00.000Z"}
            ]
            return {"Body": io.BytesIO(json.dumps({"objects": objects}).encode())}

    it = watch.Watch(cast(Clients, Services(account, Bucket())), STACK, console)
    progress = Progress("one")
    assert it._planned(progress) == set()
    plan = {"plan": {"planUri": "s3://bucket/plans/abc/plan.json"}}
    progress.history.states["PlanRun"] = State("PlanRun", "Task", output=plan)
    assert it._planned(progress) == {A}


def test_a_failed_run_ends_the_watch_unless_it_is_older_than_the_upload(
    account: Account, console: Console
) -> None:
    account.runs["before"], account.running = ("Failed", False), {"before"}
    it = Follower(account, console)
    account.runs["new"] = ("Failed", False)
    assert it.uploaded(UPLOADED).name == "new"


def test_nothing_new_leads_to_a_forced_run(account: Account, console: Console) -> None:
    it = Follower(account, console)
    account.runs["idle"] = ("NothingNew", False)
    account.upcoming = [("forced", "Deployed", True)]
    assert it.uploaded(UPLOADED).name == "forced"
    assert account.inputs == ['{"force": true}']


def test_force_follows_a_run_in_progress_instead(account: Account, console: Console) -> None:
    account.runs["busy"], account.running = ("Deployed", True), {"busy"}
    assert Follower(account, console).forced().name == "busy"
    assert account.inputs == []


def test_forced_fails_if_the_lock_stays_taken(account: Account, console: Console) -> None:
    account.upcoming = [(f"echo{n}", "AlreadyRunning", False) for n in range(9)]
    with pytest.raises(RunError, match="could not get the lock"):
        Follower(account, console).forced()
    assert len(account.inputs) == watch.FORCED_ATTEMPTS


def test_latest_skips_idle_executions(account: Account, console: Console) -> None:
    account.runs = {"real": ("Deployed", True), "echo": ("AlreadyRunning", False)}
    assert Follower(account, console).latest().name == "real"
    with pytest.raises(RunError, match="There is no run yet"):
        Follower(Account(), console).latest()


def test_the_error_without_an_execution_suggests_what_to_check(
    account: Account, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "START_SECONDS", 0)
    with pytest.raises(RunError, match="EventBridge rule of stack 'retrain'"):
        Follower(account, console).uploaded(UPLOADED)
