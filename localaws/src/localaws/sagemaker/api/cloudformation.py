"""CloudFormation's SageMaker resource types, implemented with the API's operations.

Source: the CloudFormation resource provider schemas of AWS::SageMaker.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.members import refuse
from localaws.sagemaker.api.shapes import Document

POLL_SECONDS = 0.1

Call = Callable[[str, Document], Document]
"""Runs an operation by name with a request, and returns the response."""


class ResourceType(Protocol):
    """Creates, updates and deletes the resources of one type."""

    def create(self, properties: Document, generated_name: str) -> tuple[str, Document]:
        """Create a resource; return its physical ID (for Ref) and its attributes (for GetAtt)."""

    def update(self, physical_id: str, old: Document, new: Document) -> tuple[str, Document]:
        """Update a resource in place; return the same as `create`."""

    def delete(self, physical_id: str) -> None:
        """Delete a resource."""


class PipelineType:
    """AWS::SageMaker::Pipeline."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def create(self, properties: Document, generated_name: str) -> tuple[str, Document]:
        """Create the pipeline; Ref returns its name."""
        request = _pipeline_request(properties) | {"ClientRequestToken": generated_name.rjust(32, "0")}
        self._call("CreatePipeline", request)
        return properties["PipelineName"], {}

    def update(self, physical_id: str, old: Document, new: Document) -> tuple[str, Document]:
        """Update the pipeline; CloudFormation replaces it when its name changes."""
        request = _pipeline_request(new)
        request.pop("Tags", None)
        arn = self._call("UpdatePipeline", request)["PipelineArn"]
        _retag(self._call, arn, old, new)
        return physical_id, {}

    def delete(self, physical_id: str) -> None:
        """Delete the pipeline."""
        self._call("DeletePipeline", {"PipelineName": physical_id, "ClientRequestToken": "0" * 32})


class ModelPackageGroupType:
    """AWS::SageMaker::ModelPackageGroup."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def create(self, properties: Document, generated_name: str) -> tuple[str, Document]:
        """Create the group; Ref returns its ARN."""
        arn = self._call("CreateModelPackageGroup", properties)["ModelPackageGroupArn"]
        return arn, {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed"}

    def update(self, physical_id: str, old: Document, new: Document) -> tuple[str, Document]:
        """Update the tags; all other properties require replacement."""
        refuse(new, "ModelPackageGroupPolicy")
        _retag(self._call, physical_id, old, new)
        return physical_id, {"ModelPackageGroupArn": physical_id}

    def delete(self, physical_id: str) -> None:
        """Delete the group; a group that still has models is kept, and the stack's event has the reason."""
        self._call("DeleteModelPackageGroup", {"ModelPackageGroupName": physical_id})


class FeatureGroupType:
    """AWS::SageMaker::FeatureGroup."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def create(self, properties: Document, generated_name: str) -> tuple[str, Document]:
        """Create the group and wait until it accepts records; Ref returns its name."""
        name = properties["FeatureGroupName"]
        self._call("CreateFeatureGroup", properties)
        while (group := self._describe(name))["FeatureGroupStatus"] == "Creating":
            time.sleep(POLL_SECONDS)
        if group["FeatureGroupStatus"] != "Created":
            reason = group.get("FailureReason", group["FeatureGroupStatus"])
            self._call("DeleteFeatureGroup", {"FeatureGroupName": name})
            raise ValidationException(f"The FeatureGroup {name} could not be created: {reason}")
        return name, _feature_group_attributes(group)

    def update(self, physical_id: str, old: Document, new: Document) -> tuple[str, Document]:
        """Add features and update tags; all other properties require replacement."""
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        refuse(dict.fromkeys(changed - {"FeatureDefinitions", "Tags"}, "changed"), *changed)
        existing = old["FeatureDefinitions"]
        if any(feature not in new["FeatureDefinitions"] for feature in existing):
            raise ValidationException(f"Features can only be added to the FeatureGroup {physical_id}")
        added = [feature for feature in new["FeatureDefinitions"] if feature not in existing]
        if added:
            self._call("UpdateFeatureGroup", {"FeatureGroupName": physical_id, "FeatureAdditions": added})
        group = self._describe(physical_id)
        _retag(self._call, group["FeatureGroupArn"], old, new)
        return physical_id, _feature_group_attributes(group)

    def delete(self, physical_id: str) -> None:
        """Delete the group; its files and its Glue table are kept, as on AWS."""
        self._call("DeleteFeatureGroup", {"FeatureGroupName": physical_id})

    def _describe(self, name: str) -> Document:
        return self._call("DescribeFeatureGroup", {"FeatureGroupName": name})


def resource_types(call: Call) -> dict[str, ResourceType]:
    """Return the resource types by their CloudFormation names."""
    return {
        "AWS::SageMaker::Pipeline": PipelineType(call),
        "AWS::SageMaker::ModelPackageGroup": ModelPackageGroupType(call),
        "AWS::SageMaker::FeatureGroup": FeatureGroupType(call),
    }


def _feature_group_attributes(group: Document) -> Document:
    created = datetime.fromtimestamp(group["CreationTime"], UTC)
    return {"CreationTime": created.isoformat(), "FeatureGroupStatus": group["FeatureGroupStatus"]}


def _retag(call: Call, arn: str, old: Document, new: Document) -> None:
    """Replace the stack's tags on a resource; tags that the stack did not set are kept."""
    tags = new.get("Tags", [])
    removed = {tag["Key"] for tag in old.get("Tags", [])} - {tag["Key"] for tag in tags}
    if removed:
        call("DeleteTags", {"ResourceArn": arn, "TagKeys": sorted(removed)})
    if tags:
        call("AddTags", {"ResourceArn": arn, "Tags": tags})


def _pipeline_request(properties: Document) -> Document:
    """Convert CloudFormation's properties to CreatePipeline's request, where the definition is a string."""
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
