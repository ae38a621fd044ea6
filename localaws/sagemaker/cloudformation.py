"""SageMaker's resource types of CloudFormation, by the same operations that a client calls.

Source: the CloudFormation resource provider schemas of AWS::SageMaker.
"""

import json
from collections.abc import Callable
from typing import Protocol

from localaws.sagemaker.members import refuse
from localaws.sagemaker.shapes import Document

Call = Callable[[str, Document], Document]
"""Does an operation: its name and its request; the answer."""


class ResourceType(Protocol):
    """What CloudFormation does with a resource of one type."""

    def create(self, properties: Document, generated_name: str) -> tuple[str, Document]:
        """Make it; its physical ID (what Ref gives) and its attributes (what GetAtt gives)."""

    def update(self, physical_id: str, old: Document, new: Document) -> tuple[str, Document]:
        """Change it in place; the same answer as `create`."""

    def delete(self, physical_id: str) -> None:
        """Remove it."""


class PipelineType:
    """AWS::SageMaker::Pipeline."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def create(self, properties: Document, generated_name: str) -> tuple[str, Document]:
        """Make the pipeline; Ref gives its name."""
        request = _pipeline_request(properties) | {"ClientRequestToken": generated_name.rjust(32, "0")}
        self._call("CreatePipeline", request)
        return properties["PipelineName"], {}

    def update(self, physical_id: str, old: Document, new: Document) -> tuple[str, Document]:
        """Change everything but the name, whose change CloudFormation makes a replacement."""
        request = _pipeline_request(new)
        request.pop("Tags", None)
        arn = self._call("UpdatePipeline", request)["PipelineArn"]
        _retag(self._call, arn, old, new)
        return physical_id, {}

    def delete(self, physical_id: str) -> None:
        """Remove the pipeline."""
        self._call("DeletePipeline", {"PipelineName": physical_id, "ClientRequestToken": "0" * 32})


class ModelPackageGroupType:
    """AWS::SageMaker::ModelPackageGroup."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def create(self, properties: Document, generated_name: str) -> tuple[str, Document]:
        """Make the group; Ref gives its ARN."""
        arn = self._call("CreateModelPackageGroup", properties)["ModelPackageGroupArn"]
        return arn, {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed"}

    def update(self, physical_id: str, old: Document, new: Document) -> tuple[str, Document]:
        """Nothing of a group changes in place but its tags and policy."""
        refuse(new, "ModelPackageGroupPolicy")
        _retag(self._call, physical_id, old, new)
        return physical_id, {"ModelPackageGroupArn": physical_id}

    def delete(self, physical_id: str) -> None:
        """Remove the group; one that still has models stays, and the stack says so."""
        self._call("DeleteModelPackageGroup", {"ModelPackageGroupName": physical_id})


def resource_types(call: Call) -> dict[str, ResourceType]:
    """The types by their CloudFormation names."""
    return {
        "AWS::SageMaker::Pipeline": PipelineType(call),
        "AWS::SageMaker::ModelPackageGroup": ModelPackageGroupType(call),
    }


def _retag(call: Call, arn: str, old: Document, new: Document) -> None:
    """Make a resource's tags the new ones; those that the stack did not set stay."""
    tags = new.get("Tags", [])
    gone = {tag["Key"] for tag in old.get("Tags", [])} - {tag["Key"] for tag in tags}
    if gone:
        call("DeleteTags", {"ResourceArn": arn, "TagKeys": sorted(gone)})
    if tags:
        call("AddTags", {"ResourceArn": arn, "Tags": tags})


def _pipeline_request(properties: Document) -> Document:
    """CreatePipeline's members, which CloudFormation names and nests a little otherwise."""
    request = {member: value for member, value in properties.items() if member != "PipelineDefinition"}
    definition = properties.get("PipelineDefinition", {})
    if "PipelineDefinitionBody" in definition:
        body = definition["PipelineDefinitionBody"]
        request["PipelineDefinition"] = body if isinstance(body, str) else json.dumps(body)
    if location := definition.get("PipelineDefinitionS3Location"):
        request["PipelineDefinitionS3Location"] = {
            "Bucket": location["Bucket"],
            "ObjectKey": location["Key"],
        } | ({"VersionId": location["Version"]} if "Version" in location else {})
    return request
