"""The champion: the model that is live."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed")


class Champion(NamedTuple):
    """A model, and the model package that it was created from."""

    model_name: str
    model_package_arn: str | None


NOBODY = Champion("none", None)


def find_champion(sagemaker: SageMakerClient, endpoint: str) -> Champion:
    """Return the endpoint's model; nobody if it serves none, or one that is not in the registry."""
    try:
        found = sagemaker.describe_endpoint(EndpointName=endpoint)
        if found["EndpointStatus"] not in SERVING:
            return NOBODY
        config = sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
        name = config["ProductionVariants"][0].get("ModelName")
        if name is None:  # the variant serves inference components
            return NOBODY
        model = sagemaker.describe_model(ModelName=name)
    except ClientError as error:
        if is_missing(error):
            return NOBODY
        raise
    containers = [model["PrimaryContainer"]] if "PrimaryContainer" in model else model.get("Containers", [])
    package = containers[0].get("ModelPackageName") if containers else None
    return Champion(name, package) if package else NOBODY


def is_missing(error: ClientError) -> bool:
    """Return whether the error means "not found": SageMaker has the same code for an invalid request."""
    details = error.response["Error"]
    return details["Code"] == "ValidationException" and "could not find" in details["Message"].lower()
