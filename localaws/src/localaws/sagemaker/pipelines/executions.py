"""The API operations on pipeline executions."""

from collections.abc import Callable
from functools import partial
from typing import Any

from localaws.sagemaker.api.errors import ResourceNotFound, ValidationException
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines.caching import StepCache
from localaws.sagemaker.pipelines.definition import PipelineDefinition
from localaws.sagemaker.pipelines.execution import MAX_PARALLEL_STEPS, PipelineRun
from localaws.sagemaker.pipelines.jobs import random_id
from localaws.sagemaker.pipelines.step_executor import ExecutionContext
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records, list_page, now, page

_RUNNING = ("Executing", "Stopping")
_RETRYABLE = ("Failed", "Stopped")
_PAGE = ("SortOrder", "NextToken", "MaxResults")
# The supported members per operation; all others are rejected.
HANDLED = {
    "StartPipelineExecution": (
        "PipelineName",
        "PipelineExecutionDisplayName",
        "PipelineParameters",
        "PipelineExecutionDescription",
        "ClientRequestToken",
        "ParallelismConfiguration",
    ),
    "StopPipelineExecution": ("PipelineExecutionArn",),
    "RetryPipelineExecution": ("PipelineExecutionArn", "ClientRequestToken", "ParallelismConfiguration"),
    "DescribePipelineExecution": ("PipelineExecutionArn",),
    "DescribePipelineDefinitionForExecution": ("PipelineExecutionArn",),
    "ListPipelineExecutions": (*_PAGE, "SortBy", "PipelineName", "CreatedAfter", "CreatedBefore"),
    "ListPipelineExecutionSteps": (*_PAGE, "PipelineExecutionArn"),
    "ListPipelineParametersForExecution": ("PipelineExecutionArn", "NextToken", "MaxResults"),
}
# Accepted and ignored: a repeated request changes nothing, whatever its token.
WITHOUT_EFFECT = {"StopPipelineExecution": ("ClientRequestToken",)}


class Executions:
    """Start, stop, retry and describe executions.

    Args:
        platform: the platform that they run on.
        pipeline: returns a pipeline's record by name or ARN; raises ResourceNotFound.
    """

    def __init__(self, platform: Platform, pipeline: Callable[[str], Document]) -> None:
        self._platform = platform
        self._pipeline = pipeline
        self._runs: dict[str, PipelineRun] = {}
        self.records = Records()
        self.cache = StepCache()

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this resource, by name."""
        return {
            "StartPipelineExecution": self.start,
            "StopPipelineExecution": self.stop,
            "RetryPipelineExecution": self.retry,
            "DescribePipelineExecution": self.describe,
            "DescribePipelineDefinitionForExecution": self.describe_definition,
            "ListPipelineExecutions": self.list,
            "ListPipelineExecutionSteps": self.list_steps,
            "ListPipelineParametersForExecution": self.list_parameters,
        }

    def start(self, request: Document) -> Document:
        """Start an execution; idempotent per ClientRequestToken."""
        pipeline = self._pipeline(request["PipelineName"])
        self._platform.sessions.check_role(pipeline["RoleArn"])
        supplied = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", [])}
        definition = PipelineDefinition.parse(pipeline["PipelineDefinition"])
        parameters = definition.parameter_values(supplied)
        with self.records.lock:
            self._pipeline(pipeline["PipelineName"])
            for execution in self.records:
                if execution["_token"] == (pipeline["PipelineArn"], request["ClientRequestToken"]):
                    return {"PipelineExecutionArn": execution["PipelineExecutionArn"]}
            execution = _new_execution(pipeline, request, supplied)
            arn = execution["PipelineExecutionArn"]
            scope = {"Parameters": parameters, "Execution": _variables(pipeline, execution)}
            run = PipelineRun(definition, scope, self.records, self._context(pipeline["RoleArn"]))
            self._runs[arn] = run
            self.records.add(arn, execution, ValidationException(f"{arn} exists"))
            run.start(_max_parallel_steps(execution))
        return {"PipelineExecutionArn": arn}

    def stop(self, request: Document) -> Document:
        """Stop an execution; a second request has no further effect."""
        with self.records.lock:
            execution = self._execution(request)
            arn, status = execution["PipelineExecutionArn"], execution["PipelineExecutionStatus"]
            if status not in _RUNNING:
                raise ValidationException(
                    f"Only pipelines with 'Executing' status can be stopped; this one is {status}"
                )
            self.records.update(arn, PipelineExecutionStatus="Stopping")
            self._runs[arn].stop()
        self._platform.notifier.notify()
        return {"PipelineExecutionArn": arn}

    def retry(self, request: Document) -> Document:
        """Rerun the unsuccessful steps of an ended execution; idempotent per ClientRequestToken."""
        with self.records.lock:
            execution = self._execution(request)
            arn, status = execution["PipelineExecutionArn"], execution["PipelineExecutionStatus"]
            tokens = execution["_retries"]
            if request["ClientRequestToken"] in tokens:
                return {"PipelineExecutionArn": arn}
            if status not in _RETRYABLE:
                raise ValidationException(
                    f"Only pipelines with 'Failed' or 'Stopped' status can be retried; this one is {status}"
                )
            changes: Document = {"_retries": (*tokens, request["ClientRequestToken"])}
            if "ParallelismConfiguration" in request:
                changes["ParallelismConfiguration"] = request["ParallelismConfiguration"]
            self._platform.sessions.check_role(self._pipeline(execution["PipelineArn"])["RoleArn"])
            execution = self.records.update(
                arn, PipelineExecutionStatus="Executing", FailureReason=None, **changes
            )
            self._runs[arn].start(_max_parallel_steps(execution))
        return {"PipelineExecutionArn": arn}

    def describe(self, request: Document) -> Document:
        """Return an execution's record."""
        return self._execution(request)

    def describe_definition(self, request: Document) -> Document:
        """Return the definition that an execution runs."""
        execution = self._execution(request)
        return {
            "PipelineDefinition": execution["_definition"],
            "CreationTime": execution["CreationTime"],
        }

    def list(self, request: Document) -> Document:
        """Return a page of a pipeline's executions, newest first."""
        arn = self._pipeline(request["PipelineName"])["PipelineArn"]
        found = (
            execution | {"PipelineExecutionFailureReason": execution.get("FailureReason")}
            for execution in self.records
            if execution["PipelineArn"] == arn
        )
        return list_page("ListPipelineExecutions", found, request, "PipelineExecution")

    def list_steps(self, request: Document) -> Document:
        """Return a page of an execution's started steps."""
        run = self._runs[self._execution(request)["PipelineExecutionArn"]]
        return list_page("ListPipelineExecutionSteps", iter(run.steps), request, "Step")

    def list_parameters(self, request: Document) -> Document:
        """Return a page of the parameters of an execution's start request."""
        supplied = self._execution(request)["_parameters"]
        parameters = [{"Name": name, "Value": value} for name, value in supplied.items()]
        return page("PipelineParameters", parameters, request)

    def running(self, pipeline_arn: str) -> bool:
        """Return whether a pipeline has an execution that has not ended."""
        return any(
            execution["PipelineArn"] == pipeline_arn and execution["PipelineExecutionStatus"] in _RUNNING
            for execution in self.records
        )

    def close(self) -> None:
        """Stop every execution."""
        with self.records.lock:
            for run in self._runs.values():
                run.stop()
        self._platform.notifier.notify()

    def _context(self, role_arn: str) -> ExecutionContext:
        client: Callable[[str], Any] = partial(self._client, role_arn)
        describer = self._platform.sessions.client("sagemaker")
        platform = self._platform
        return ExecutionContext(client, describer, platform.runtime.digest, self.cache, platform.notifier)

    def _client(self, role_arn: str, service: str) -> Any:
        return self._platform.sessions.client(service, role_arn)

    def _execution(self, request: Document) -> Document:
        arn = request.get("PipelineExecutionArn", "")
        return self.records.get(arn, ResourceNotFound(f"Pipeline execution {arn} does not exist"))


def _new_execution(pipeline: Document, request: Document, supplied: dict[str, str]) -> Document:
    arn = f"{pipeline['PipelineArn']}/execution/{random_id()}"
    return {
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineExecutionArn": arn,
        "PipelineExecutionDisplayName": request.get(
            "PipelineExecutionDisplayName", f"execution-{int(now().timestamp() * 1000)}"
        ),
        "PipelineExecutionDescription": request.get("PipelineExecutionDescription"),
        "PipelineExecutionStatus": "Executing",
        "ParallelismConfiguration": request.get("ParallelismConfiguration")
        or pipeline.get("ParallelismConfiguration"),
        "CreationTime": now(),
        "StartTime": now(),
        "LastModifiedTime": now(),
        "_token": (pipeline["PipelineArn"], request["ClientRequestToken"]),
        "_retries": (),
        "_definition": pipeline["PipelineDefinition"],
        "_parameters": supplied,
    }


def _variables(pipeline: Document, execution: Document) -> dict[str, Any]:
    started = execution["CreationTime"].isoformat()
    return {
        "PipelineName": pipeline["PipelineName"],
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineExecutionId": execution["PipelineExecutionArn"].rsplit("/", 1)[-1],
        "PipelineExecutionArn": execution["PipelineExecutionArn"],
        "StartDateTime": started,
        "CurrentDateTime": started,
    }


def _max_parallel_steps(execution: Document) -> int:
    configuration = execution.get("ParallelismConfiguration") or {}
    return int(configuration.get("MaxParallelExecutionSteps", MAX_PARALLEL_STEPS))
