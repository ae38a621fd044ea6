"""Provide images: answer CloudFormation with their URIs by digest, and build those that are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from provide_images.builds import BuildFailedError, explain_build, start_build
from provide_images.image_requests import ImageRequest, identify
from provide_images.stack_requests import Pending, StackRequest
from shared.environment import FunctionEnvironment

logger = Logger(service="provide_images")
tracer = Tracer(service="provide_images")
metrics = Metrics(namespace="Retrain", service="provide_images")


class Environment(FunctionEnvironment):
    """The function's configuration."""

    project_name: str
    table_name: str
    containers: Path


class Properties(BaseModel):
    """The properties of the custom resource; `source` is the version of the layer that holds containers/."""

    model_config = ConfigDict(alias_generator=to_pascal)
    source: str
    images: list[ImageRequest]


class BuildEnded(BaseModel):
    """EventBridge's event of the end of a build."""

    build_arn: str = Field(alias="build-id")

    @property
    def build_id(self) -> str:
        """The id that CodeBuild returned at the build's start: `<project>:<uuid>`."""
        return self.build_arn.rpartition("/")[2]


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Handle a request of CloudFormation, or the end of a build that one started.

    The end of a build only triggers a look: the answer is what the registry has then.
    """
    environment = Environment.read()
    pending = Pending(boto3.client("dynamodb"), environment.table_name)
    if "RequestType" in event:
        provide(parse(event=event, model=StackRequest), environment, pending)
        return
    build_id = parse(event=event["detail"], model=BuildEnded).build_id
    request = pending.find(build_id)
    if request is None:
        metrics.add_metric("BuildsUnasked", MetricUnit.Count, 1)
        logger.info("nobody waits for this build", extra={"build": build_id})
        return
    provide(request, environment, pending, build_id)
    pending.forget(build_id)


def provide(
    request: StackRequest, environment: Environment, pending: Pending, ended: str | None = None
) -> None:
    """Answer the request in any case: without an answer, CloudFormation waits for an hour.

    Args:
        request: CloudFormation's request.
        environment: the function's configuration.
        pending: the requests whose build is in progress.
        ended: the id of the build that ran for the request, if there was one.
    """
    try:
        uris = find_or_build(request, environment, pending, ended)
    except Exception as error:
        logger.exception("refused")
        metrics.add_metric("ImagesRefused", MetricUnit.Count, 1)
        request.refuse(f"{type(error).__name__}: {error}")
    else:
        if uris is not None:
            logger.info("provided", extra={"images": uris})
            metrics.add_metric("ImagesProvided", MetricUnit.Count, len(uris))
            request.answer(uris)


def find_or_build(
    request: StackRequest, environment: Environment, pending: Pending, ended: str | None
) -> dict[str, str] | None:
    """Return each image's URI by digest as `<name>Uri`, or None if a build of missing images was started.

    Raises:
        UnknownImageError: containers/ has no such image.
        BuildFailedError: images are missing although their build has ended.
    """
    if request.request_type == "Delete":
        return {}  # images are retained, since endpoints may use them
    properties = parse(event=request.resource_properties, model=Properties)
    ecr = boto3.client("ecr")
    images = [identify(requested, environment.containers) for requested in properties.images]
    found = {image: image.find(ecr) for image in images}
    missing = [image for image, uri in found.items() if not uri]
    if not missing:
        return {f"{image.name}Uri": uri for image, uri in found.items() if uri}
    codebuild = boto3.client("codebuild")
    if ended:
        raise BuildFailedError(
            f"There is no {' nor '.join(image.tag for image in missing)}. {explain_build(codebuild, ended)}"
        )
    started = start_build(codebuild, environment.project_name, properties.source, missing, request.request_id)
    pending.keep(started, request)
    metrics.add_metric("ImagesBuilding", MetricUnit.Count, len(missing))
    logger.info("building", extra={"build": started, "images": [image.tag for image in missing]})
    return None
