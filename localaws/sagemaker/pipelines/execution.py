"""One run of a pipeline: each step through SageMaker's own API, as the pipeline's role."""

import logging
import secrets
import string
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from typing import Any

import botocore.exceptions
from botocore import xform_name
from mypy_boto3_sagemaker import SageMakerClient

from localaws.sagemaker.errors import SageMakerError
from localaws.sagemaker.pipelines import references
from localaws.sagemaker.pipelines.definition import PipelineDefinition
from localaws.sagemaker.pipelines.steps import STEP_TYPES, StepType
from localaws.sagemaker.records import Records, now
from localaws.sagemaker.shapes import Document

POLL_SECONDS = 0.25
MAX_PARALLEL_STEPS = 50  # SageMaker's own default for MaxParallelExecutionSteps
NAME_CHARACTERS = 63
FAILURE = "Step failure: One or multiple steps failed."
INTERNAL_FAILURE = "InternalFailure: see the log of localaws"

logger = logging.getLogger("localaws.sagemaker")


def random_id(length: int = 12) -> str:
    """A name part as SageMaker makes them: small letters and digits."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))


class StepFailed(Exception):  # noqa: N818
    """A step did not succeed; the message is its FailureReason."""


class StepStopped(Exception):  # noqa: N818
    """A step was stopped."""


class PipelineRun:
    """Runs an execution's steps in dependency order, independent ones side by side.

    What happens stands in two places that others read: `executions` (the execution's record) and
    `steps` (one record a step that has started, by name). How it ended is decided and told under the
    executions' lock, so that who asks to stop it under that lock is either heard or too late.

    Args:
        definition: what to run.
        scope: what the definition's references to "Parameters" and "Execution" stand for.
        executions: where the execution's record is.
        client: makes a client that acts as the pipeline's role, valid for now.
        max_parallel_steps: how many steps run side by side.
    """

    def __init__(
        self,
        definition: PipelineDefinition,
        scope: dict[str, Any],
        executions: Records,
        client: Callable[[], SageMakerClient],
        max_parallel_steps: int = MAX_PARALLEL_STEPS,
    ) -> None:
        self._definition = definition
        self._scope = scope | {"Steps": {}}
        self._executions = executions
        self._client = client
        self._max_parallel_steps = max_parallel_steps
        self._arn: str = scope["Execution"]["PipelineExecutionArn"]
        self._stopping = threading.Event()
        self.steps = Records()

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._run, name=f"pipeline {self._arn}", daemon=True).start()

    def stop(self) -> None:
        """Start no more steps, and stop the jobs that run."""
        self._stopping.set()

    def _run(self) -> None:
        try:
            self._run_steps()
        except Exception:
            logger.exception("pipeline execution %s broke", self._arn)
            self._executions.update(
                self._arn, PipelineExecutionStatus="Failed", FailureReason=INTERNAL_FAILURE
            )

    def _run_steps(self) -> None:
        order = TopologicalSorter(self._definition.dependencies)
        order.prepare()
        ready: list[str] = []
        running: dict[Future[None], str] = {}
        failed = False
        with ThreadPoolExecutor(self._max_parallel_steps, thread_name_prefix="step") as pool:
            while True:
                # As on AWS: after a failure nothing more starts, and what runs may end.
                if not failed and not self._stopping.is_set():
                    ready += order.get_ready()
                    room = self._max_parallel_steps - len(running)
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

    def _conclude(self, name: str, future: Future[None]) -> bool:
        """Tell how a step ended; whether it succeeded."""
        ending = {"StepStatus": "Succeeded"}
        try:
            future.result()
        except StepStopped:
            ending = {"StepStatus": "Stopped"}
        except StepFailed as failure:
            ending = {"StepStatus": "Failed", "FailureReason": str(failure)}
        except Exception:
            logger.exception("step %s of %s broke", name, self._arn)
            ending = {"StepStatus": "Failed", "FailureReason": INTERNAL_FAILURE}
        self.steps.update(name, EndTime=now(), **ending)
        return ending["StepStatus"] == "Succeeded"

    def _run_step(self, name: str) -> None:
        step = self._definition.steps[name]
        step_type = STEP_TYPES[step["Type"]]
        record = {
            "StepName": name,
            "StepDisplayName": step.get("DisplayName"),
            "StepDescription": step.get("Description"),
            "StartTime": now(),
            "StepStatus": "Executing",
            "AttemptCount": 1,
        }
        self.steps.add(name, record, SageMakerError(f"step {name} runs twice"))
        identifier = self._create(name, step, step_type)
        described = self._follow(step_type, identifier)
        self._scope["Steps"][name] = described

    def _create(self, name: str, step: Document, step_type: StepType) -> str:
        """Make the step's job or resource; the name or ARN by which Describe finds it."""
        try:
            arguments = references.resolve(step["Arguments"], self._scope)
        except SageMakerError as error:
            raise StepFailed(f"ClientError: {error.message}") from error
        if step_type.name_member:
            execution_id = self._scope["Execution"]["PipelineExecutionId"]
            suffix = random_id(10)
            stem = f"pipelines-{execution_id}-{name}".replace("_", "-")
            arguments[step_type.name_member] = f"{stem[: NAME_CHARACTERS - len(suffix) - 1]}-{suffix}"
        answer = self._call(f"Create{step_type.kind}", arguments)
        self.steps.update(name, Metadata={step_type.metadata: {"Arn": answer[step_type.arn_member]}})
        return str(arguments.get(step_type.name_member or "") or answer[step_type.arn_member])

    def _follow(self, step_type: StepType, identifier: str) -> Document:
        """Wait for the result, and describe it."""
        request = {step_type.describe_member: identifier}
        stop_asked = False
        while True:
            described = self._call(f"Describe{step_type.kind}", request)
            if not step_type.is_job:
                return described
            match described[step_type.status_member]:
                case "Completed":
                    return described
                case "Failed":
                    raise StepFailed(f"ClientError: {described.get('FailureReason', 'the job failed')}")
                case "Stopped" if self._stopping.is_set():
                    raise StepStopped
                case "Stopped":
                    raise StepFailed(f"ClientError: The {step_type.kind} {identifier} was stopped")
            if self._stopping.wait(POLL_SECONDS):
                if not stop_asked:
                    self._ask_to_stop(step_type, request)
                    stop_asked = True
                time.sleep(POLL_SECONDS)

    def _ask_to_stop(self, step_type: StepType, request: Document) -> None:
        try:
            self._call(f"Stop{step_type.kind}", request)
        except StepFailed as failure:
            # A job that has ended meanwhile refuses to stop; how it ended is in its description.
            if _error_code(failure.__cause__) != "ValidationException":
                raise

    def _call(self, operation: str, arguments: Document) -> Document:
        try:
            answer: Document = getattr(self._client(), xform_name(operation))(**arguments)
        except (
            botocore.exceptions.ClientError,
            botocore.exceptions.BotoCoreError,
            SageMakerError,
        ) as error:
            detail = f"Failed to invoke sagemaker:{operation}. Error Details: {error}"
            raise StepFailed(f"ClientError: {detail}") from error
        return answer


def _error_code(error: BaseException | None) -> str:
    if not isinstance(error, botocore.exceptions.ClientError):
        return ""
    return error.response["Error"]["Code"]
