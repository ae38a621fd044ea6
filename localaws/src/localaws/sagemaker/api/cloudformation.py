"""CloudFormation's resource types of SageMaker, implemented with the operations that a client calls.

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
"""Runs an operation, by its name and request, and returns the answer."""


class ResourceType(Protocol):
    """Creates, updates and deletes the resources of one type."""

    def create(self, properties: Document, generated_name: str) -> tuple[str, Document]:
        """Create it; return its physical ID (for Ref) and its attributes (for GetAtt)."""

    def update(self, physical_id: str, old: Document, new: Document) -> tuple[str, Document]:
        """Change it in place; return the same as `create`."""

    def delete(self, physical_id: str) -> None:
        """Delete it."""


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
        """Update the tags; nothing else of a group changes in place."""
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
        """Make the group, and wait until its records may come; Ref gives its name."""
        name = properties["FeatureGroupName"]
        self._call("CreateFeatureGroup", properties)
        while (group := self._described(name))["FeatureGroupStatus"] == "Creating":
            time.sleep(POLL_SECONDS)
        if group["FeatureGroupStatus"] != "Created":
            reason = group.get("FailureReason", group["FeatureGroupStatus"])
            self._call("DeleteFeatureGroup", {"FeatureGroupName": name})
            raise ValidationException(f"The FeatureGroup {name} could not be made: {reason}")
        return name, _feature_group_attributes(group)

    def update(self, physical_id: str, old: Document, new: Document) -> tuple[str, Document]:
        """Add features; nothing else of a group changes in place but its tags."""
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        refuse(dict.fromkeys(changed - {"FeatureDefinitions", "Tags"}, "changed"), *changed)
        former = old["FeatureDefinitions"]
        if any(feature not in new["FeatureDefinitions"] for feature in former):
            raise ValidationException(f"Features can only be added to the FeatureGroup {physical_id}")
        added = [feature for feature in new["FeatureDefinitions"] if feature not in former]
        if added:
            self._call("UpdateFeatureGroup", {"FeatureGroupName": physical_id, "FeatureAdditions": added})
        group = self._described(physical_id)
        _retag(self._call, group["FeatureGroupArn"], old, new)
        return physical_id, _feature_group_attributes(group)

    def delete(self, physical_id: str) -> None:
        """Remove the group; its files and its Glue table stay."""
        self._call("DeleteFeatureGroup", {"FeatureGroupName": physical_id})

    def _described(self, name: str) -> Document:
        return self._call("DescribeFeatureGroup", {"FeatureGroupName": name})


def resource_types(call: Call) -> dict[str, ResourceType]:
    """The types by their CloudFormation names."""
    return {
        "AWS::SageMaker::Pipeline": PipelineType(call),
        "AWS::SageMaker::ModelPackageGroup": ModelPackageGroupType(call),
        "AWS::SageMaker::FeatureGroup": FeatureGroupType(call),
    }


def _feature_group_attributes(group: Document) -> Document:
    created = datetime.fromtimestamp(group["CreationTime"], UTC)
    return {"CreationTime": created.isoformat(), "FeatureGroupStatus": group["FeatureGroupStatus"]}


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
