"""Runs one step: decide a condition, fail, call a function or run a job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localaws.runtimes.container import ImageError
from localaws.sagemaker.api.errors import SageMakerError
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines import caching, conditions, images, lambdas, references
from localaws.sagemaker.pipelines.definition import PipelineDefinition
from localaws.sagemaker.pipelines.errors import StepFailed
from localaws.sagemaker.pipelines.jobs import ApiStep
from localaws.sagemaker.pipelines.json_files import JsonFiles
from localaws.sagemaker.pipelines.steps import CONDITION, FAIL, LAMBDA, Step
from localaws.sagemaker.platform.notifier import Notifier
from localaws.sagemaker.platform.records import Records, now

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True)
class ExecutionContext:
    """The services that an execution uses.

    Attributes:
        client: returns a client of a service with current credentials of the pipeline's role.
        describer: the platform's SageMaker client, which has the permission to describe every model.
        digest: returns the digest of an image's content by its URI; raises ImageError.
        cache: the results of earlier executions.
        notifier: notifies when a job or the execution has ended, or has to end.
    """

    client: Callable[[str], Any]
    describer: SageMakerClient
    digest: Callable[[str], str]
    cache: caching.StepCache
    notifier: Notifier


class StepExecutor:
    """Run the steps of one execution.

    Args:
        definition: the pipeline's definition.
        scope: the values for references.
        records: the steps' records by name; a step's Metadata is recorded as soon as it exists.
        context: the services that the execution uses.
        stopping: set when the execution has to end.
    """

    def __init__(
        self,
        definition: PipelineDefinition,
        scope: dict[str, Any],
        records: Records,
        context: ExecutionContext,
        stopping: threading.Event,
    ) -> None:
        self._definition = definition
        self._scope = scope
        self._records = records
        self._context = context
        self._stopping = stopping
        self._json_files = JsonFiles(definition.steps, scope, lambda: context.client("s3"))

    def run(self, step: Step) -> Document:
        """Run a step to its end and return the properties to which later steps can refer.

        Raises:
            StepFailed: the step failed.
            StepStopped: the step was stopped with its execution.
        """
        own = {CONDITION: self._decide, FAIL: self._fail, LAMBDA: self._invoke}
        return own.get(step.type, self._call)(step)

    def _decide(self, step: Step) -> Document:
        try:
            outcome = conditions.hold(step.arguments["Conditions"], self._resolve)
        except SageMakerError as error:
            raise StepFailed(f"ClientError: {error.message}") from error
        self._records.update(step.name, Metadata={CONDITION: {"Outcome": str(outcome)}})
        return {"Outcome": outcome}

    def _fail(self, step: Step) -> Document:
        message = references.text(self._arguments(step).get("ErrorMessage", ""))
        self._records.update(step.name, Metadata={FAIL: {"ErrorMessage": message}})
        raise StepFailed(message)

    def _invoke(self, step: Step) -> Document:
        arn, declared = step.document["FunctionArn"], step.document.get("OutputParameters", [])
        self._records.update(step.name, Metadata=lambdas.metadata(arn, {}))
        outputs = lambdas.invoke(arn, self._arguments(step), declared, lambda: self._context.client("lambda"))
        self._records.update(step.name, Metadata=lambdas.metadata(arn, outputs))
        return {"OutputParameters": outputs}

    def _call(self, step: Step) -> Document:
        """Run a step through the API, or reuse the result of an earlier execution."""
        arguments = self._arguments(step)
        key = self._cache_key(step, arguments)
        if key and (run := self._earlier_run(step, key)):
            hit = {"SourcePipelineExecutionArn": run.execution_arn}
            self._records.update(step.name, Metadata=run.metadata, CacheHitResult=hit)
            return run.properties
        execution: Document = self._scope["Execution"]
        api_step = ApiStep(
            step,
            execution["PipelineExecutionId"],
            lambda: self._context.client("sagemaker"),
            self._stopping,
            self._context.notifier,
        )
        metadata = api_step.create(arguments)
        self._records.update(step.name, Metadata=metadata)
        properties = api_step.result(self._definition.reads_tuned_jobs(step.name))
        if key:
            run = caching.Run(execution["PipelineExecutionArn"], now(), metadata, properties)
            self._context.cache.remember(execution["PipelineArn"], step.name, key, run)
        return properties

    def _cache_key(self, step: Step, arguments: Document) -> str | None:
        """Return the cache key of a step; None without CacheConfig."""
        if "CacheConfig" not in step.document:
            return None
        try:
            contents = {
                image: self._context.digest(image)
                for image in images.find(arguments, self._context.describer)
            }
        except (ImageError, ClientError):
            return None  # the job will fail with the reason
        return caching.key(step.type, arguments, contents)

    def _earlier_run(self, step: Step, key: str) -> caching.Run | None:
        limit = caching.expiry(step.document)
        if limit is None:
            return None
        pipeline_arn = self._scope["Execution"]["PipelineArn"]
        return self._context.cache.find(pipeline_arn, step.name, key, now(), limit)

    def _arguments(self, step: Step) -> Document:
        try:
            arguments: Document = self._resolve(step.arguments)
        except SageMakerError as error:
            raise StepFailed(f"ClientError: {error.message}") from error
        return arguments

    def _resolve(self, value: Any) -> Any:
        return references.resolve(value, self._scope, self._json_files.get)
