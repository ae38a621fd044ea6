"""Builds of images by CodeBuild."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_codebuild import CodeBuildClient

MAX_CONTEXT = 300  # characters; a message repeats the whole command before it says what is wrong


class BuildFailedError(Exception):
    """A build ended, and an image that it should have pushed is not in the registry."""


def start_build(
    codebuild: CodeBuildClient, project: str, source: str, images: Iterable[object], request_id: str
) -> str:
    """Start the build and return its id; CodeBuild starts one per request, however often it is delivered."""
    variables = {"SOURCE": source, "IMAGES": " ".join(map(str, images))}
    answer = codebuild.start_build(
        projectName=project,
        idempotencyToken=request_id,
        environmentVariablesOverride=[
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ],
    )
    return answer["build"]["id"]


def explain_build(codebuild: CodeBuildClient, build_id: str) -> str:
    """Return how the build ended, the message of its failed phase, and where its log is."""
    [build] = codebuild.batch_get_builds(ids=[build_id])["builds"]
    contexts = [
        context.get("message", "")
        for phase in build.get("phases", [])
        if phase.get("phaseStatus", "SUCCEEDED") != "SUCCEEDED"
        for context in phase.get("contexts", [])
    ]
    message = " ".join("; ".join(contexts).split())
    reason = f" ({message[-MAX_CONTEXT:]})" if message else ""
    link = build.get("logs", {}).get("deepLink", "none was written")
    return f"Build {build_id} ended as {build['buildStatus']}{reason}. Its log: {link}"
