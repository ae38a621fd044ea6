"""SageMaker's resources in a stack: created, updated and deleted with it."""

import json
from typing import Any

import pytest

from localaws.testing import Laptop


def template(role: str, description: str, body: str, **tags: str) -> str:
    pipeline = {
        "Type": "AWS::SageMaker::Pipeline",
        "Properties": {
            "PipelineName": "stacked",
            "PipelineDescription": description,
            "RoleArn": role,
            "PipelineDefinition": {"PipelineDefinitionBody": body},
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        },
    }
    group = {
        "Type": "AWS::SageMaker::ModelPackageGroup",
        "Properties": {
            "ModelPackageGroupName": "stacked",
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        },
    }
    outputs = {"Pipeline": {"Value": {"Ref": "P"}}, "Group": {"Value": {"Ref": "G"}}}
    return json.dumps({"Resources": {"P": pipeline, "G": group}, "Outputs": outputs})


BODY = json.dumps(
    {
        "Version": "2020-12-01",
        "Steps": [
            {"Name": "A", "Type": "RegisterModel", "Arguments": {"ModelPackageGroupName": "stacked"}},
        ],
    }
)


def test_a_stack_creates_updates_and_deletes_resources(laptop: Laptop) -> None:
    cloudformation, sagemaker = laptop.client("cloudformation"), laptop.client("sagemaker")
    role = laptop.role("stacked")
    cloudformation.create_stack(StackName="stacked", TemplateBody=template(role, "first", BODY, old="1"))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="stacked", WaiterConfig={"Delay": 1})
    stack = cloudformation.describe_stacks(StackName="stacked")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert outputs["Pipeline"] == "stacked"
    assert outputs["Group"].endswith(":model-package-group/stacked")
    pipeline = sagemaker.describe_pipeline(PipelineName="stacked")
    assert pipeline["PipelineDescription"] == "first"
    assert json.loads(pipeline["PipelineDefinition"]) == json.loads(BODY)
    tagged = (pipeline["PipelineArn"], outputs["Group"])
    for arn in tagged:
        assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "old", "Value": "1"}]

    cloudformation.update_stack(StackName="stacked", TemplateBody=template(role, "second", BODY, new="2"))
    cloudformation.get_waiter("stack_update_complete").wait(StackName="stacked", WaiterConfig={"Delay": 1})
    assert sagemaker.describe_pipeline(PipelineName="stacked")["PipelineDescription"] == "second"
    for arn in tagged:
        assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "new", "Value": "2"}]

    cloudformation.delete_stack(StackName="stacked")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="stacked", WaiterConfig={"Delay": 1})
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_pipeline(PipelineName="stacked")


def test_an_invalid_definition_fails_the_stack_with_the_reason(laptop: Laptop) -> None:
    cloudformation = laptop.client("cloudformation")
    body = template(laptop.role("broken"), "broken", '{"Version": "2020-12-01", "Steps": []}')
    cloudformation.create_stack(StackName="broken", TemplateBody=body, OnFailure="ROLLBACK")

    waiter = cloudformation.get_waiter("stack_create_complete")
    with pytest.raises(Exception, match=r"ROLLBACK|FAILED"):
        waiter.wait(StackName="broken", WaiterConfig={"Delay": 1})
    events: list[dict[str, Any]] = cloudformation.describe_stack_events(StackName="broken")["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any("Invalid pipeline definition" in reason for reason in reasons)
