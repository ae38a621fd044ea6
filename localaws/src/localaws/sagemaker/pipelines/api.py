"""The API operations on pipelines."""

from botocore.exceptions import ClientError

from localaws.sagemaker.api.errors import ConflictException, ResourceNotFound, ValidationException
from localaws.sagemaker.api.members import refusing_others
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.pipelines import executions
from localaws.sagemaker.pipelines.definition import PipelineDefinition
from localaws.sagemaker.pipelines.executions import Executions
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records, list_page, now

_UPDATABLE = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")
_DEFINITION = ("PipelineDefinition", "PipelineDefinitionS3Location")
# The supported members per operation; all others are rejected.
HANDLED = {
    "CreatePipeline": ("PipelineName", *_UPDATABLE, *_DEFINITION, "ClientRequestToken", "Tags"),
    "UpdatePipeline": ("PipelineName", *_UPDATABLE, *_DEFINITION),
    "DescribePipeline": ("PipelineName",),
    "DeletePipeline": ("PipelineName",),
    "ListPipelines": (
        "SortOrder",
        "NextToken",
        "MaxResults",
        "SortBy",
        "PipelineNamePrefix",
        "CreatedAfter",
        "CreatedBefore",
    ),
    **executions.HANDLED,
}
# Accepted and ignored: a repeated request changes nothing, whatever its token.
WITHOUT_EFFECT = {"DeletePipeline": ("ClientRequestToken",), **executions.WITHOUT_EFFECT}


class Pipelines:
    """Create, update, describe and delete pipelines; `executions` has their executions."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._pipelines = Records()
        self.executions = Executions(platform, self._pipeline)

    def operations(self) -> dict[str, Operation]:
        """Return the operations on pipelines and on their executions, by name."""
        operations: dict[str, Operation] = {
            "CreatePipeline": self.create,
            "UpdatePipeline": self.update,
            "DescribePipeline": self.describe,
            "DeletePipeline": self.delete,
            "ListPipelines": self.list,
            **self.executions.operations(),
        }
        return refusing_others(operations, HANDLED, WITHOUT_EFFECT)

    def create(self, request: Document) -> Document:
        """Create a pipeline with a valid definition; idempotent per ClientRequestToken."""
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
        """Update a pipeline; running executions keep their definition."""
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
        """Return a pipeline by name or ARN."""
        return self._pipeline(request["PipelineName"])

    def delete(self, request: Document) -> Document:
        """Delete a pipeline without running executions."""
        with self.executions.records.lock:
            record = self._pipeline(request["PipelineName"])
            if self.executions.running(record["PipelineArn"]):
                raise ConflictException(f"Pipeline {record['PipelineName']} has a running execution")
            self._pipelines.remove(record["PipelineName"], _no_pipeline(record["PipelineName"]))
            self.executions.cache.forget(record["PipelineArn"])
        return {"PipelineArn": record["PipelineArn"]}

    def list(self, request: Document) -> Document:
        """Return a page of pipelines."""
        prefix = request.get("PipelineNamePrefix", "")
        found = (record for record in self._pipelines if record["PipelineName"].startswith(prefix))
        return list_page("ListPipelines", found, request, "Pipeline")

    def close(self) -> None:
        """Stop every execution."""
        self.executions.close()

    def _body(self, request: Document, role_arn: str) -> str:
        if sum(member in request for member in _DEFINITION) != 1:
            raise ValidationException(
                "Either PipelineDefinition or PipelineDefinitionS3Location is required, and not both"
            )
        if "PipelineDefinition" in request:
            return str(request["PipelineDefinition"])
        location = request["PipelineDefinitionS3Location"]
        version = {"VersionId": location["VersionId"]} if "VersionId" in location else {}
        s3 = self._platform.sessions.client("s3", role_arn)
        try:
            response = s3.get_object(Bucket=location["Bucket"], Key=location["ObjectKey"], **version)
            return response["Body"].read().decode()
        except (ClientError, UnicodeDecodeError) as error:
            uri = f"s3://{location['Bucket']}/{location['ObjectKey']}"
            raise ValidationException(f"Unable to read the pipeline definition {uri}: {error}") from error

    def _pipeline(self, name_or_arn: str) -> Document:
        return self._pipelines.get(name_or_arn.rsplit("/", 1)[-1], _no_pipeline(name_or_arn))


def _no_pipeline(name: str) -> ResourceNotFound:
    return ResourceNotFound(f"Pipeline '{name}' does not exist.")
