"""Runs the steps of one pipeline execution with the pipeline's role."""

import logging
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from itertools import count
from typing import Any

from localaws.sagemaker.api.errors import FAILURE_REASON_CHARACTERS, SageMakerError
from localaws.sagemaker.pipelines import retrying
from localaws.sagemaker.pipelines.definition import PipelineDefinition
from localaws.sagemaker.pipelines.errors import StepFailed, StepStopped
from localaws.sagemaker.pipelines.retrying import RetryPolicy
from localaws.sagemaker.pipelines.step_executor import ExecutionContext, StepExecutor
from localaws.sagemaker.platform.records import Records, now

MAX_PARALLEL_STEPS = 50  # SageMaker's own default for MaxParallelExecutionSteps
FAILURE = "Step failure: One or multiple steps failed."
INTERNAL_FAILURE = "InternalFailure: see the log of localaws"

logger = logging.getLogger("localaws.sagemaker")


class PipelineRun:
    """Runs an execution's steps in dependency order, independent steps in parallel.

    Progress is recorded in `executions` (the execution's record) and in `steps` (one record per started step,
    by name). The final status is decided and recorded under the executions' lock: a stop request under that
    lock either takes effect or comes too late.

    Args:
        definition: the pipeline's definition.
        scope: the values of "Parameters" and "Execution" for references.
        executions: the records of executions.
        context: the services that the steps use.
    """

    def __init__(
        self,
        definition: PipelineDefinition,
        scope: dict[str, Any],
        executions: Records,
        context: ExecutionContext,
    ) -> None:
        self._definition = definition
        self._scope = scope | {"Steps": {}}
        self._executions = executions
        self._arn: str = scope["Execution"]["PipelineExecutionArn"]
        self._stopping = threading.Event()
        self._attempts: dict[str, int] = {}
        self.steps = Records()
        self._executor = StepExecutor(definition, self._scope, self.steps, context, self._stopping)

    def start(self, max_parallel_steps: int = MAX_PARALLEL_STEPS) -> None:
        """Start in a new thread; after an end, start again with the steps that have not succeeded."""
        self._stopping.clear()
        for step in self.steps:
            if step["StepStatus"] != "Succeeded":
                name = step["StepName"]
                self.steps.remove(name, SageMakerError(f"step {name} does not exist"))
        threading.Thread(
            target=self._run, args=(max_parallel_steps,), name=f"pipeline {self._arn}", daemon=True
        ).start()

    def stop(self) -> None:
        """Start no more steps, and stop the jobs that run."""
        self._stopping.set()

    def _run(self, max_parallel_steps: int) -> None:
        try:
            self._run_steps(max_parallel_steps)
        except Exception:
            logger.exception("pipeline execution %s failed", self._arn)
            self._executions.update(
                self._arn, PipelineExecutionStatus="Failed", FailureReason=INTERNAL_FAILURE
            )

    def _run_steps(self, max_parallel_steps: int) -> None:
        order = TopologicalSorter(self._definition.dependencies)
        order.prepare()
        skipped: set[str] = set()
        ready: list[str] = []
        running: dict[Future[None], str] = {}
        failed = False
        with ThreadPoolExecutor(max_parallel_steps, thread_name_prefix="step") as pool:
            while True:
                # As on AWS: after a failure no further step starts, and running steps finish.
                if not failed and not self._stopping.is_set():
                    ready += self._due(order, skipped)
                    room = max_parallel_steps - len(running)
                    running |= {pool.submit(self._run_step, name): name for name in ready[:room]}
                    del ready[:room]
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    succeeded = self._conclude(name, future)
                    failed = failed or not succeeded
                    if succeeded:
                        order.done(name)
        with self._executions.lock:
            if self._stopping.is_set():
                self._executions.update(self._arn, PipelineExecutionStatus="Stopped")
            elif failed:
                self._executions.update(self._arn, PipelineExecutionStatus="Failed", FailureReason=FAILURE)
            else:
                self._executions.update(self._arn, PipelineExecutionStatus="Succeeded")

    def _due(self, order: TopologicalSorter[str], skipped: set[str]) -> list[str]:
        """Return the steps to start now; mark skipped and already successful steps as done."""
        due: list[str] = []
        while names := order.get_ready():
            for name in names:
                if self._never_starts(name, skipped):
                    skipped.add(name)
                    order.done(name)
                elif name in self.steps:
                    order.done(name)
                else:
                    due.append(name)
        return due

    def _never_starts(self, name: str, skipped: set[str]) -> bool:
        """Return whether a step is in a branch that is not taken, or depends on such a step."""
        if self._definition.dependencies[name] & skipped:
            return True
        match self._definition.steps[name].branch:
            case None:
                return False
            case condition, taken_with:
                return bool(self._scope["Steps"][condition]["Outcome"] != taken_with)

    def _conclude(self, name: str, future: Future[None]) -> bool:
        """Record the end of a step and return whether it succeeded."""
        ending = {"StepStatus": "Succeeded"}
        try:
            future.result()
        except StepStopped:
            ending = {"StepStatus": "Stopped"}
        except StepFailed as failure:
            ending = {"StepStatus": "Failed"}
            if reason := str(failure)[:FAILURE_REASON_CHARACTERS]:
                ending["FailureReason"] = reason
        except Exception:
            logger.exception("step %s of %s failed", name, self._arn)
            ending = {"StepStatus": "Failed", "FailureReason": INTERNAL_FAILURE}
        self.steps.update(name, EndTime=now(), **ending)
        return ending["StepStatus"] == "Succeeded"

    def _run_step(self, name: str) -> None:
        step = self._definition.steps[name]
        record = {
            "StepName": name,
            "StepDisplayName": step.document.get("DisplayName"),
            "StepDescription": step.document.get("Description"),
            "StartTime": now(),
            "StepStatus": "Executing",
            "AttemptCount": self._count_attempt(name),
        }
        self.steps.add(name, record, SageMakerError(f"step {name} runs twice"))
        policies = [RetryPolicy.parse(policy) for policy in step.document.get("RetryPolicies", [])]
        started = time.monotonic()
        for retry in count(1):
            try:
                self._scope["Steps"][name] = self._executor.run(step)
                return
            except StepFailed as failure:
                elapsed = time.monotonic() - started
                delay = retrying.delay(policies, failure.exception_type, retry, elapsed)
                if delay is None:
                    raise
                if self._stopping.wait(delay):
                    raise StepStopped from failure
            self.steps.update(name, AttemptCount=self._count_attempt(name))

    def _count_attempt(self, name: str) -> int:
        self._attempts[name] = self._attempts.get(name, 0) + 1
        return self._attempts[name]
