"""Pipelines and their executions, as the API shows them."""

from typing import Any

from localaws.sagemaker.errors import ConflictException, ResourceNotFound, ValidationException
from localaws.sagemaker.http import Operation
from localaws.sagemaker.pipelines.definition import PipelineDefinition
from localaws.sagemaker.pipelines.execution import PipelineRun, random_id
from localaws.sagemaker.platform import Platform
from localaws.sagemaker.records import Records, list_page, now
from localaws.sagemaker.shapes import Document

_RUNNING = ("Executing", "Stopping")


class Pipelines:
    """Create, change, start, stop and describe pipelines."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._pipelines = Records()
        self._executions = Records()
        self._runs: dict[str, PipelineRun] = {}

    def operations(self) -> dict[str, Operation]:
        """The operations that this noun answers."""
        return {
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

    def create(self, request: Document) -> Document:
        """Keep a pipeline whose definition is sound."""
        name = request["PipelineName"]
        body = self._body(request)
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
        }
        taken = ValidationException(f"Pipeline names must be unique within an AWS account and region. {arn}")
        self._pipelines.add(name, record, taken)
        return {"PipelineArn": arn}

    def update(self, request: Document) -> Document:
        """Change a pipeline; executions that run go on as they began."""
        record = self._pipeline(request["PipelineName"])
        changes: Document = {
            member: request[member]
            for member in (
                "PipelineDisplayName",
                "PipelineDescription",
                "RoleArn",
                "ParallelismConfiguration",
            )
            if member in request
        }
        if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
            changes["PipelineDefinition"] = self._body(request)
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
        token = request.get("ClientRequestToken")
        given = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", [])}
        definition = PipelineDefinition.parse(record["PipelineDefinition"])
        parameters = definition.parameter_values(given)
        with self._executions.lock:
            for execution in self._executions:
                if token is not None and execution["_token"] == (record["PipelineArn"], token):
                    return {"PipelineExecutionArn": execution["PipelineExecutionArn"]}
            execution = self._new_execution(record, request, given)
            arn = execution["PipelineExecutionArn"]
            self._executions.add(arn, execution, ValidationException(f"{arn} exists"))
        scope = {"Parameters": parameters, "Execution": _variables(record, execution)}
        client = self._platform.sessions.client("sagemaker", record["RoleArn"])
        self._runs[arn] = PipelineRun(definition, scope, self._executions, client)
        self._runs[arn].start()
        return {"PipelineExecutionArn": arn}

    def stop(self, request: Document) -> Document:
        """Stop an execution; asking twice is asking once."""
        execution = self._execution(request)
        if execution["PipelineExecutionStatus"] == "Executing":
            self._executions.update(execution["PipelineExecutionArn"], PipelineExecutionStatus="Stopping")
            self._runs[execution["PipelineExecutionArn"]].stop()
        elif execution["PipelineExecutionStatus"] != "Stopping":
            status = execution["PipelineExecutionStatus"]
            raise ConflictException(f"Only running pipelines can be stopped; this one is {status}")
        return {"PipelineExecutionArn": execution["PipelineExecutionArn"]}

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
        return {"PipelineParameters": [{"Name": name, "Value": value} for name, value in given.items()]}

    def close(self) -> None:
        """Stop every execution."""
        for run in self._runs.values():
            run.stop()

    def _body(self, request: Document) -> str:
        if "PipelineDefinition" in request:
            return str(request["PipelineDefinition"])
        location = request.get("PipelineDefinitionS3Location")
        if location is None:
            raise ValidationException("Either PipelineDefinition or PipelineDefinitionS3Location is needed")
        s3 = self._platform.sessions.client("s3")
        try:
            answer = s3.get_object(Bucket=location["Bucket"], Key=location["ObjectKey"])
        except s3.exceptions.ClientError as error:
            uri = f"s3://{location['Bucket']}/{location['ObjectKey']}"
            raise ValidationException(f"Unable to read the pipeline definition {uri}: {error}") from error
        return answer["Body"].read().decode()

    def _pipeline(self, name_or_arn: str) -> Document:
        return self._pipelines.get(name_or_arn.rsplit("/", 1)[-1], _no_pipeline(name_or_arn))

    def _execution(self, request: Document) -> Document:
        arn = request["PipelineExecutionArn"]
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
            "CreationTime": now(),
            "StartTime": now(),
            "LastModifiedTime": now(),
            "_token": (pipeline["PipelineArn"], request.get("ClientRequestToken")),
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


def _no_pipeline(name: str) -> ResourceNotFound:
    return ResourceNotFound(f"Pipeline '{name}' does not exist.")
