"""Find the execution that an upload started and follow it to its end."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from rich.console import Console

from demo.details import Details
from demo.errors import RunError
from demo.objects import read
from demo.progress import Outcome, Progress, refresh
from demo.stack import Clients, Stack
from demo.upload import Uploaded
from demo.view import View, open_view

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import ExecutionListItemTypeDef

START_SECONDS = 120
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 1.0, 15.0
POLLS_PER_RUN = 300
FORCED_ATTEMPTS = 3
IDLE = (Outcome.ALREADY_RUNNING, Outcome.NOTHING_NEW, Outcome.SET_ASIDE)


class Watch:
    """Follow the state machine's executions; create this before the upload to exclude earlier ones."""

    def __init__(self, clients: Clients, stack: Stack, console: Console) -> None:
        self._clients, self._stack, self._console = clients, stack, console
        listed = self._listed()
        self._running_before = {each["executionArn"] for each in listed if each["status"] == "RUNNING"}
        self._seen = {each["executionArn"] for each in listed} - self._running_before
        self.current: str | None = None

    def uploaded(self, objects: tuple[Uploaded, ...]) -> Progress:
        """Follow executions until the ended ones have planned all these objects; return the last one."""
        missing = set(objects)
        while True:
            execution = self._next()
            early = execution in self._running_before
            if early:
                self._print("A run was already in progress. Following it first.")
            progress = self.follow(execution)
            if progress.outcome is Outcome.NOTHING_NEW:
                self._print("The ledger already contains this data.")
                return self.forced()
            if progress.outcome is Outcome.ALREADY_RUNNING:
                self._print("Another run has the lock. It will check for new data at its end.")
            elif progress.outcome is Outcome.FAILED and not early:
                return progress
            else:
                missing -= self._planned(progress)
                if not missing:
                    return progress
                self._print("That run was planned before the upload was complete. Following the next run.")

    def forced(self) -> Progress:
        """Start a run without new data, or follow the run in progress."""
        for _ in range(FORCED_ATTEMPTS):
            if running := [each for each in self._listed() if each["status"] == "RUNNING"]:
                self._print("A run is in progress. Following it instead of starting another.")
                progress = self.follow(running[-1]["executionArn"])
            else:
                self._print('Starting a run with {"force": true}.')
                progress = self.follow(self._start())
            if progress.outcome not in IDLE:
                return progress
        raise RunError(
            f"{FORCED_ATTEMPTS} forced executions could not get the lock or had nothing to do. "
            f"See the output of the last one, {progress.execution}."
        )

    def latest(self) -> Progress:
        """Follow the newest execution that was not idle to its end and return its progress."""
        for each in self._listed():
            progress = self.follow(each["executionArn"])
            if progress.outcome not in IDLE:
                return progress
        raise RunError(
            "There is no run yet, and --no-force starts none. Repeat the command without --no-force."
        )

    def follow(self, execution: str) -> Progress:
        """Show an execution's progress until it ends."""
        self.current = execution
        self._seen.add(execution)
        progress = Progress(execution)
        with open_view(self._console) as view:
            self._poll(progress, view, Details(self._clients))
        if progress.outcome not in IDLE:
            view.finish(progress)
        return progress

    def _poll(self, progress: Progress, view: View, details: Details) -> None:
        pause = FIRST_POLL_SECONDS
        while True:
            refresh(self._clients, self._stack, progress, details)
            view.show(progress)
            if progress.status != "RUNNING":
                return
            time.sleep(pause)
            pause = min(LAST_POLL_SECONDS, max(FIRST_POLL_SECONDS, progress.elapsed / POLLS_PER_RUN))

    def _next(self) -> str:
        """Wait for an execution that was not followed yet and return the oldest one."""
        deadline = time.monotonic() + START_SECONDS
        with self._console.status("Waiting for the workflow to start …"):
            while time.monotonic() < deadline:
                new = [
                    each["executionArn"] for each in self._listed() if each["executionArn"] not in self._seen
                ]
                if new:
                    return new[-1]
                time.sleep(FIRST_POLL_SECONDS)
        raise RunError(
            f"No execution started within {START_SECONDS} s of the upload. "
            f"Check the EventBridge rule of stack {self._stack.name!r}, or start an execution: "
            f"aws stepfunctions start-execution --state-machine-arn {self._stack.state_machine}"
        )

    def _start(self) -> str:
        started = self._clients.sfn.start_execution(
            stateMachineArn=self._stack.state_machine, input=json.dumps({"force": True})
        )
        return started["executionArn"]

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def _listed(self) -> list[ExecutionListItemTypeDef]:
        """Return the newest executions, newest first."""
        return self._clients.sfn.list_executions(stateMachineArn=self._stack.state_machine)["executions"]

    def _planned(self, progress: Progress) -> set[Uploaded]:
        """Return what the run's plan ingests and sets aside, with the ETags at that time."""
        uri = (progress.history.find("planUri") or {}).get("planUri")
        if not uri:
            return set()
        plan = json.loads(read(self._clients.s3, uri))
        return {Uploaded(each["key"], each["etag"]) for each in plan["objects"] + plan.get("setAside", [])}
