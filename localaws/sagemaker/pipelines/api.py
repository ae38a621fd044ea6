"""Pipelines and their executions, as the API shows them."""

from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from mypy_boto3_sagemaker import SageMakerClient

from localaws.sagemaker.errors import ConflictException, ResourceNotFound, ValidationException
from localaws.sagemaker.http import Operation
from localaws.sagemaker.members import refusing_others
from localaws.sagemaker.pipelines.definition import PipelineDefinition
from localaws.sagemaker.pipelines.execution import MAX_PARALLEL_STEPS, PipelineRun, random_id
from localaws.sagemaker.platform import Platform
from localaws.sagemaker.records import Records, list_page, now, page
from localaws.sagemaker.shapes import Document

_RUNNING = ("Executing", "Stopping")
_PAGE = ("SortOrder", "NextToken", "MaxResults")
_UPDATABLE = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")
_DEFINITION = ("PipelineDefinition", "PipelineDefinitionS3Location")
# The members that each operation acts on, or keeps and shows; any other is refused.
HANDLED = {
    "CreatePipeline": ("PipelineName", *_UPDATABLE, *_DEFINITION, "ClientRequestToken", "Tags"),
    "UpdatePipeline": ("PipelineName", *_UPDATABLE, *_DEFINITION),
    "DescribePipeline": ("PipelineName",),
    "DeletePipeline": ("PipelineName",),
    "ListPipelines": (*_PAGE, "SortBy", "PipelineNamePrefix", "CreatedAfter", "CreatedBefore"),
    "StartPipelineExecution": (
        "PipelineName",
        "PipelineExecutionDisplayName",
        "PipelineParameters",
        "PipelineExecutionDescription",
        "ClientRequestToken",
        "ParallelismConfiguration",
    ),
    "StopPipelineExecution": ("PipelineExecutionArn",),
    "DescribePipelineExecution": ("PipelineExecutionArn",),
    "DescribePipelineDefinitionForExecution": ("PipelineExecutionArn",),
    "ListPipelineExecutions": (*_PAGE, "SortBy", "PipelineName", "CreatedAfter", "CreatedBefore"),
    "ListPipelineExecutionSteps": (*_PAGE, "PipelineExecutionArn"),
    "ListPipelineParametersForExecution": ("PipelineExecutionArn", "NextToken", "MaxResults"),
}
# Accepted: what is asked twice, with one token or with two, is done once.
WITHOUT_EFFECT = {
    "DeletePipeline": ("ClientRequestToken",),
    "StopPipelineExecution": ("ClientRequestToken",),
}


class Pipelines:
    """Create, change, start, stop and describe pipelines."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._pipelines = Records()
        self._executions = Records()
        self._runs: dict[str, PipelineRun] = {}

    def operations(self) -> dict[str, Operation]:
        """The operations that this noun answers."""
        operations: dict[str, Operation] = {
            "CreatePipeline": self.create,
            "UpdatePipeline": self.update,
            "DescribePipeline": self.describe,
            "DeletePipeline": self.delete,
            "ListPipelines": self.list,
            "StartPipelineExecution": self.start,
            "StopPipelineExecution": self.stop,
            "DescribePipelineExecution": self.describe_execution,
            "DescribePipelineDefinitionForExecution": self.describe_definition,
            "ListPipelineExecutions": self.list_executions,
            "ListPipelineExecutionSteps": self.list_steps,
            "ListPipelineParametersForExecution": self.list_parameters,
        }
        return refusing_others(operations, HANDLED, WITHOUT_EFFECT)

    def create(self, request: Document) -> Document:
        """Keep a pipeline whose definition is sound; once for each ClientRequestToken."""
        name = request["PipelineName"]
        body = self._body(request, request["RoleArn"])
        PipelineDefinition.parse(body)
        self._platform.sessions.check_role(request["RoleArn"])
        arn = self._platform.arn("pipeline", name)
        record = {
            "PipelineArn": arn,
            "PipelineName": name,
            "PipelineDisplayName": request.get("PipelineDisplayName", name),
            "PipelineDefinition": body,
            "PipelineDescription": request.get("PipelineDescription"),
            "RoleArn": request["RoleArn"],
            "PipelineStatus": "Active",
            "CreationTime": now(),
            "LastModifiedTime": now(),
            "ParallelismConfiguration": request.get("ParallelismConfiguration"),
            "_token": request["ClientRequestToken"],
        }
        taken = ValidationException(f"Pipeline names must be unique within an AWS account and region. {arn}")
        with self._pipelines.lock:
            if name not in self._pipelines or self._pipeline(name)["_token"] != record["_token"]:
                self._pipelines.add(name, record, taken)
        return {"PipelineArn": arn}

    def update(self, request: Document) -> Document:
        """Change a pipeline; executions that run go on as they began."""
        record = self._pipeline(request["PipelineName"])
        changes: Document = {member: request[member] for member in _UPDATABLE if member in request}
        if any(member in request for member in _DEFINITION):
            changes["PipelineDefinition"] = self._body(request, request.get("RoleArn") or record["RoleArn"])
            PipelineDefinition.parse(changes["PipelineDefinition"])
        if "RoleArn" in changes:
            self._platform.sessions.check_role(changes["RoleArn"])
        self._pipelines.update(record["PipelineName"], **changes)
        return {"PipelineArn": record["PipelineArn"]}

    def describe(self, request: Document) -> Document:
        """A pipeline, by name or ARN."""
        return self._pipeline(request["PipelineName"])

    def delete(self, request: Document) -> Document:
        """Forget a pipeline; one that runs stays."""
        with self._executions.lock:
            record = self._pipeline(request["PipelineName"])
            for execution in self._executions:
                if (
                    execution["PipelineArn"] == record["PipelineArn"]
                    and execution["PipelineExecutionStatus"] in _RUNNING
                ):
                    raise ConflictException(f"Pipeline {record['PipelineName']} has a running execution")
            self._pipelines.remove(record["PipelineName"], _no_pipeline(record["PipelineName"]))
        return {"PipelineArn": record["PipelineArn"]}

    def list(self, request: Document) -> Document:
        """Pipelines."""
        prefix = request.get("PipelineNamePrefix", "")
        found = (record for record in self._pipelines if record["PipelineName"].startswith(prefix))
        return list_page("ListPipelines", found, request, "Pipeline")

    def start(self, request: Document) -> Document:
        """Begin an execution, or answer with the one that the same token began."""
        record = self._pipeline(request["PipelineName"])
        self._platform.sessions.check_role(record["RoleArn"])
        client = partial(self._client, record["RoleArn"])
        given = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", [])}
        definition = PipelineDefinition.parse(record["PipelineDefinition"])
        parameters = definition.parameter_values(given)
        with self._executions.lock:
            self._pipeline(record["PipelineName"])
            for execution in self._executions:
                if execution["_token"] == (record["PipelineArn"], request["ClientRequestToken"]):
                    return {"PipelineExecutionArn": execution["PipelineExecutionArn"]}
            execution = self._new_execution(record, request, given)
            arn = execution["PipelineExecutionArn"]
            scope = {"Parameters": parameters, "Execution": _variables(record, execution)}
            run = PipelineRun(definition, scope, self._executions, client, _max_parallel_steps(execution))
            self._runs[arn] = run
            self._executions.add(arn, execution, ValidationException(f"{arn} exists"))
            run.start()
        return {"PipelineExecutionArn": arn}

    def stop(self, request: Document) -> Document:
        """Stop an execution; asking twice is asking once."""
        with self._executions.lock:
            execution = self._execution(request)
            arn, status = execution["PipelineExecutionArn"], execution["PipelineExecutionStatus"]
            if status not in _RUNNING:
                raise ConflictException(f"Only running pipelines can be stopped; this one is {status}")
            self._executions.update(arn, PipelineExecutionStatus="Stopping")
            self._runs[arn].stop()
        return {"PipelineExecutionArn": arn}

    def describe_execution(self, request: Document) -> Document:
        """How an execution stands."""
        return self._execution(request)

    def describe_definition(self, request: Document) -> Document:
        """The definition that an execution runs."""
        execution = self._execution(request)
        return {
            "PipelineDefinition": execution["_definition"],
            "CreationTime": execution["CreationTime"],
        }

    def list_executions(self, request: Document) -> Document:
        """A pipeline's executions, the newest first."""
        arn = self._pipeline(request["PipelineName"])["PipelineArn"]
        found = (execution for execution in self._executions if execution["PipelineArn"] == arn)
        return list_page("ListPipelineExecutions", found, request, "PipelineExecution")

    def list_steps(self, request: Document) -> Document:
        """The steps of an execution that have started."""
        run = self._runs[self._execution(request)["PipelineExecutionArn"]]
        return list_page("ListPipelineExecutionSteps", iter(run.steps), request, "Step")

    def list_parameters(self, request: Document) -> Document:
        """The parameters that an execution was started with."""
        given = self._execution(request)["_parameters"]
        parameters = [{"Name": name, "Value": value} for name, value in given.items()]
        return page("PipelineParameters", parameters, request)

    def close(self) -> None:
        """Stop every execution."""
        with self._executions.lock:
            for run in self._runs.values():
                run.stop()

    def _client(self, role_arn: str) -> SageMakerClient:
        return self._platform.sessions.client("sagemaker", role_arn)

    def _body(self, request: Document, role_arn: str) -> str:
        if sum(member in request for member in _DEFINITION) != 1:
            raise ValidationException(
                "Either PipelineDefinition or PipelineDefinitionS3Location is needed, and not both"
            )
        if "PipelineDefinition" in request:
            return str(request["PipelineDefinition"])
        location = request["PipelineDefinitionS3Location"]
        version = {"VersionId": location["VersionId"]} if "VersionId" in location else {}
        s3 = self._platform.sessions.client("s3", role_arn)
        try:
            answer = s3.get_object(Bucket=location["Bucket"], Key=location["ObjectKey"], **version)
            return answer["Body"].read().decode()
        except (ClientError, UnicodeDecodeError) as error:
            uri = f"s3://{location['Bucket']}/{location['ObjectKey']}"
            raise ValidationException(f"Unable to read the pipeline definition {uri}: {error}") from error

    def _pipeline(self, name_or_arn: str) -> Document:
        return self._pipelines.get(name_or_arn.rsplit("/", 1)[-1], _no_pipeline(name_or_arn))

    def _execution(self, request: Document) -> Document:
        arn = request.get("PipelineExecutionArn", "")
        return self._executions.get(arn, ResourceNotFound(f"Pipeline execution {arn} does not exist"))

    def _new_execution(self, pipeline: Document, request: Document, given: dict[str, str]) -> Document:
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
            "_definition": pipeline["PipelineDefinition"],
            "_parameters": given,
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
    configuration = execution["ParallelismConfiguration"] or {}
    return int(configuration.get("MaxParallelExecutionSteps", MAX_PARALLEL_STEPS))


def _no_pipeline(name: str) -> ResourceNotFound:
    return ResourceNotFound(f"Pipeline '{name}' does not exist.")
