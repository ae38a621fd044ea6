"""The champion: the model that was last deployed and approved, whether or not an endpoint still serves it.

It is the live model, or else the newest package of the registry with which a deployment ended. An endpoint
that was deleted overnight, or that failed, must not let a worse model go live without a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed")
NO_MODEL = "none"  # the pipeline parameter's value without a champion
DEPLOYED = "Deployed"  # the metadata of a package with which a deployment ended; RecordDeployment writes it


class UnusableChampionError(Exception):
    """No model can be created from the champion's package."""


class Champion(NamedTuple):
    """A model to compare with, its package, and where it was found or why there is none."""

    model_name: str
    model_package_arn: str | None
    note: str
    first: bool = False  # whether no model was live or deployed before


class Registry(NamedTuple):
    """The registry's group, and what a model of one of its packages gets."""

    group: str
    model_prefix: str
    model_role_arn: str


class NoLiveModelError(Exception):
    """The endpoint serves no model of the registry; the message says why.

    Attributes:
        serves: whether it serves another model.
    """

    def __init__(self, reason: str, *, serves: bool = False) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.serves = serves


def find_champion(
    sagemaker: SageMakerClient, endpoint: str, registry: Registry, *, refused: bool = False
) -> Champion:
    """Return the champion, which can be scored under its model's name.

    Args:
        sagemaker: the client.
        endpoint: the real-time endpoint.
        registry: where to look if that endpoint serves no model of the registry.
        refused: whether the operator wants no comparison.

    Raises:
        UnusableChampionError: its model was deleted, and none can be created from its package.
    """
    try:
        name, package = find_live_model(sagemaker, endpoint)
        return refuse(package) if refused else Champion(name, package, f"live on {endpoint}")
    except NoLiveModelError as error:
        reason, serves = str(error), error.serves
    last = find_last_deployed(sagemaker, registry.group)
    if last is None:
        none = f"{reason}, and no model of {registry.group} was deployed before"
        return Champion(NO_MODEL, None, none, first=not serves)
    if refused:
        return refuse(last)
    name = provide_model(sagemaker, last, registry)
    return Champion(name, last, f"last deployed model of {registry.group}, since {reason}")


def refuse(package: str) -> Champion:
    """Return no champion, because the operator wants no comparison with this one."""
    refused = package.partition("/")[2]
    return Champion(NO_MODEL, None, f'the execution\'s input has "champion": "none"; it would be {refused}')


def find_live_model(sagemaker: SageMakerClient, endpoint: str) -> tuple[str, str]:
    """Return the name and the package of the model that the endpoint serves.

    Raises:
        NoLiveModelError: it serves none, or one that is not from the registry.
    """
    subject, exists = f"endpoint {endpoint}", False
    try:
        found = sagemaker.describe_endpoint(EndpointName=endpoint)
        if found["EndpointStatus"] not in SERVING:
            raise NoLiveModelError(f"{subject} is {found['EndpointStatus']}")
        subject, exists = f"the configuration of {endpoint}", True
        config = sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
        name = config["ProductionVariants"][0].get("ModelName")
        if name is None:
            raise NoLiveModelError(f"{endpoint} serves inference components", serves=True)
        subject = f"model {name} of {endpoint}"
        model = sagemaker.describe_model(ModelName=name)
    except ClientError as error:
        if is_missing(error):
            raise NoLiveModelError(f"{subject} does not exist", serves=exists) from error
        raise
    containers = [model["PrimaryContainer"]] if "PrimaryContainer" in model else model.get("Containers", [])
    package = containers[0].get("ModelPackageName") if containers else None
    if package is None:
        raise NoLiveModelError(f"model {name} of {endpoint} has no model package", serves=True)
    return name, package


def find_last_deployed(sagemaker: SageMakerClient, group: str) -> str | None:
    """Return the newest approved package with which a deployment ended.

    A package is approved before its deployment, so one whose execution was stopped half-way is approved too.
    If none has the record of a deployment, the newest approved one counts.
    """
    approved = list(list_approved(sagemaker, group))
    for package in approved:
        found = sagemaker.describe_model_package(ModelPackageName=package)
        if DEPLOYED in found.get("CustomerMetadataProperties", {}):
            return package
    return approved[0] if approved else None


def list_approved(sagemaker: SageMakerClient, group: str) -> Iterator[str]:
    """Yield the ARN of each approved package of a group, the newest first."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    for page in pages:
        yield from (item["ModelPackageArn"] for item in page["ModelPackageSummaryList"])


def provide_model(sagemaker: SageMakerClient, package: str, registry: Registry) -> str:
    """Return the name of a model of the package, which is created if it does not exist.

    Raises:
        UnusableChampionError: SageMaker refuses to create it.
    """
    name = f"{registry.model_prefix}-{package.rpartition('/')[2]}"
    try:
        sagemaker.describe_model(ModelName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        create_model(sagemaker, name, package, registry.model_role_arn)
    return name


def create_model(sagemaker: SageMakerClient, name: str, package: str, role_arn: str) -> None:
    """Create a model from a package.

    Raises:
        UnusableChampionError: SageMaker refuses it.
    """
    try:
        sagemaker.create_model(
            ModelName=name, PrimaryContainer={"ModelPackageName": package}, ExecutionRoleArn=role_arn
        )
    except ClientError as error:
        details = error.response["Error"]
        if details["Code"] != "ValidationException":
            raise
        if "already exist" in details["Message"]:
            return
        raise UnusableChampionError(
            f"The new model cannot be compared with the champion {package}: {details['Message']} Reject that "
            "package in the registry, so that an earlier one is the champion, or start the workflow with "
            '{"champion": "none"} to deploy without a comparison.'
        ) from error


def is_missing(error: ClientError) -> bool:
    """Return whether the error means "not found": SageMaker has the same code for an invalid request."""
    details = error.response["Error"]
    return details["Code"] == "ValidationException" and "could not find" in details["Message"].lower()
