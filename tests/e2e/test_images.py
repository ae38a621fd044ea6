"""Building images on AWS: the template's own resources, with a build that the test plays."""

import json
import runpy
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localaws.testing import wait_until
from tests.e2e.conftest import ROOT, Stack
from tests.template import read_template

CONTAINERS = ROOT / "containers"
PROJECT = "images-images"
content_hash = runpy.run_path(str(CONTAINERS / "tooling/image_sources.py"))["content_hash"]


@pytest.fixture
def images(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """A stack of what builds images, the table, and outputs that stand for the workflow."""
    template = read_template()
    resources = {
        name: item
        for name, item in template["Resources"].items()
        if item.get("Condition") == "BuildsImages" or name in ("Table", "TracingPolicy")
    }
    # The laptop unpacks a layer elsewhere than in /opt, which the containers are not to know.
    resources["ProvideImages"]["Properties"]["Environment"]["Variables"]["CONTAINERS"] = str(CONTAINERS)
    del template["Metadata"], template["Mappings"], template["Conditions"]["CanTune"]
    template["Transform"] = "AWS::Serverless-2016-10-31"
    template["Resources"] = resources
    template["Outputs"] = {
        name: {"Value": {"Fn::GetAtt": ["Images", name]}} for name in ("ProcessingUri", "ModelUri")
    }
    (tmp_path / "template.yaml").write_text(json.dumps(template))
    shutil.copy(ROOT / "samconfig.toml", tmp_path)
    for folder in ("containers", "functions"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    it = replace(stack, name="images", root=tmp_path)
    yield it
    it.client("cloudformation").delete_stack(StackName=it.name)


def builds(stack: Stack) -> list[str]:
    """The builds that were started."""
    codebuild = stack.client("codebuild")
    try:
        ids: list[str] = codebuild.list_builds_for_project(projectName=PROJECT)["ids"]
    except codebuild.exceptions.ResourceNotFoundException:
        return []
    return ids


def resource(stack: Stack, name: str) -> str:
    found = stack.client("cloudformation").describe_stack_resource(
        StackName=stack.name, LogicalResourceId=name
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def push(stack: Stack, repository: str, folder: str) -> str:
    """An image under the tag of the folder's content; its digest."""
    image = stack.client("ecr").put_image(
        repositoryName=resource(stack, repository),
        imageTag=f"{folder}-{content_hash(CONTAINERS, folder)}",
        imageManifest=json.dumps({"schemaVersion": 2, "layers": [], "config": {"digest": folder}}),
    )
    return str(image["image"]["imageId"]["imageDigest"])


def end_build(stack: Stack, build: str) -> None:
    """What EventBridge tells the function: only AWS itself may send such an event."""
    detail = {"build-id": f"arn:aws:codebuild:us-east-1:000000000000:build/{build}"}
    answer = stack.client("lambda").invoke(
        FunctionName=resource(stack, "ProvideImages"), Payload=json.dumps({"detail": detail})
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def failures(stack: Stack) -> list[str]:
    """Why resources could not be changed."""
    events: list[dict[str, Any]] = stack.client("cloudformation").describe_stack_events(StackName=stack.name)[
        "StackEvents"
    ]
    return [event["ResourceStatusReason"] for event in events if event["ResourceStatus"] == "UPDATE_FAILED"]


def test_a_stack_waits_for_its_images_and_keeps_them_when_a_later_deployment_fails(images: Stack) -> None:
    with ThreadPoolExecutor(1) as background:
        deployment: Future[None] = background.submit(images.deploy, BuildImages="true")
        [build] = wait_until(lambda: builds(images) or (deployment.done() and deployment.result()))
        digests = {
            "ProcessingUri": push(images, "ProcessingRepository", "processing"),
            "ModelUri": push(images, "ModelRepository", "linear"),
        }
        assert not deployment.done()
        end_build(images, build)
        deployment.result()
    uris = {name: images.output(name) for name in digests}
    assert {name: uri.partition("@")[2] for name, uri in uris.items()} == digests

    with pytest.raises(AssertionError, match="UPDATE_ROLLBACK_COMPLETE"):
        images.deploy(BuildImages="true", ModelContainer="liner")
    [reason] = failures(images)
    assert "containers/liner makes no image" in reason
    assert "linear, processing" in reason
    assert {name: images.output(name) for name in digests} == uris
    assert builds(images) == [build]

    repositories = {resource(images, f"{name}Repository") for name in ("Processing", "Model")}
    images.client("cloudformation").delete_stack(StackName=images.name)
    listed = images.client("ecr").describe_repositories()["repositories"]
    assert repositories <= {item["repositoryName"] for item in listed}
