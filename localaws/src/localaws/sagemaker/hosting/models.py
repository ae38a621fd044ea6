"""Models: a container image with the model archive of a training job, for deployment."""

from typing import Any

from botocore.exceptions import ClientError

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.members import refuse_others, refuse_values
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records, list_page, now
from localaws.sagemaker.platform.storage import S3Uri
from localaws.sagemaker.registry.model_packages import ModelRegistry

S3_SOURCE = "ModelDataSource.S3DataSource"
# Members of a container definition that are applied, or stored and described; any other is rejected.
CONTAINER_MEMBERS = (
    "Image",
    "Environment",
    "ModelDataUrl",
    f"{S3_SOURCE}.S3Uri",
    f"{S3_SOURCE}.S3DataType",
    f"{S3_SOURCE}.CompressionType",
)
# Accepted and ignored: it only distinguishes the containers of a multi-container model.
IGNORED_CONTAINER_MEMBERS = ("ContainerHostname",)
# Members of a model package's container; those that only describe the model are accepted.
PACKAGED_MEMBERS = (
    *CONTAINER_MEMBERS,
    *IGNORED_CONTAINER_MEMBERS,
    "ImageDigest",
    "ProductId",
    "ModelInput",
    "Framework",
    "FrameworkVersion",
    "NearestModelName",
    "ModelDataETag",
    "IsCheckpoint",
    "BaseModel",
)
CONTAINERS = ("PrimaryContainer", "Containers")
HANDLED = (
    "ModelName",
    "ExecutionRoleArn",
    "Tags",
    *(
        f"{path}.{member}"
        for path in CONTAINERS
        for member in (*CONTAINER_MEMBERS, "Mode", "ModelPackageName")
    ),
)
WITHOUT_EFFECT = tuple(f"{path}.{member}" for path in CONTAINERS for member in IGNORED_CONTAINER_MEMBERS)


class Models:
    """Models by name. A record's `_Container` has Image, Environment and optionally ModelDataUrl."""

    def __init__(self, platform: Platform, registry: ModelRegistry) -> None:
        self._platform = platform
        self._registry = registry
        self._records = Records()

    def operations(self) -> dict[str, Operation]:
        """Return the handlers of this resource's operations, by operation name."""
        return {
            "CreateModel": self.create,
            "DescribeModel": self.describe,
            "ListModels": self.list,
            "DeleteModel": self.delete,
        }

    def get(self, name: str) -> Document:
        """Return a model's record, with the resolved container under `_Container`.

        Raises:
            ValidationException: no model has this name.
        """
        return self._records.get(name, self._missing(name))

    def create(self, request: Document) -> Document:
        """Store a model; its execution role must be allowed to read the model data."""
        refuse_others(request, (*HANDLED, *WITHOUT_EFFECT))
        for path in CONTAINERS:
            refuse_values(request, f"{path}.Mode", "MultiModel")
        name = request["ModelName"]
        container = self._resolved(_only_container(request))
        self._check_data(container, _role(request))
        arn = self._platform.arn("model", name)
        record = {
            **request,
            "ModelArn": arn,
            "CreationTime": now(),
            "EnableNetworkIsolation": False,
            "_Container": container,
        }
        taken = ValidationException(f'Cannot create already existing model "{arn}".')
        self._records.add(name, record, taken)
        return {"ModelArn": arn}

    def describe(self, request: Document) -> Document:
        """Return a model by name."""
        return self.get(request["ModelName"])

    def list(self, request: Document) -> Document:
        """Return one page of models."""
        return list_page("ListModels", iter(self._records), request, "Model")

    def delete(self, request: Document) -> Document:
        """Delete a model; endpoints that serve it keep running."""
        self._records.remove(request["ModelName"], self._missing(request["ModelName"]))
        return {}

    def _missing(self, name: str) -> ValidationException:
        return ValidationException(f'Could not find model "{self._platform.arn("model", name)}".')

    def _resolved(self, container: Document) -> Document:
        package_name = container.get("ModelPackageName")
        if package_name is None:
            return _checked(container)
        if "Image" in container or "ModelDataUrl" in container:
            raise ValidationException(
                "A container must have either ModelPackageName or Image and ModelDataUrl, not both"
            )
        package = self._registry.get(package_name)
        approval = package.get("ModelApprovalStatus", "Approved")
        if approval != "Approved":
            raise ValidationException(
                f"The model package {package['ModelPackageArn']} cannot be deployed: its "
                f"ModelApprovalStatus is {approval}, and it must be Approved"
            )
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        packaged = _one(containers, f"The model package {package['ModelPackageArn']}")
        refuse_others(packaged, PACKAGED_MEMBERS)
        checked = _checked(packaged)
        environment = checked["Environment"] | container.get("Environment", {})
        return checked | {"Environment": environment}

    def _check_data(self, container: Document, role_arn: str) -> None:
        uri = container.get("ModelDataUrl")
        self._platform.sessions.check_role(role_arn)
        if uri is None:
            return
        location = S3Uri.parse(uri)
        try:
            self._platform.sessions.client("s3", role_arn).head_object(
                Bucket=location.bucket, Key=location.key
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise ValidationException(f"Could not find model data at {uri}.") from error
            raise ValidationException(
                f'Could not access model data at {uri}. Please ensure that the role "{role_arn}" exists '
                'and that its trust relationship policy allows the action "sts:AssumeRole" for the service '
                'principal "sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" '
                f"permissions and that the object is located in {self._platform.region}."
            ) from error


def _role(request: Document) -> str:
    if "ExecutionRoleArn" not in request:
        raise ValidationException("A model needs an ExecutionRoleArn to be deployed")
    return str(request["ExecutionRoleArn"])


def _only_container(request: Document) -> Document:
    containers = request.get("Containers", [])
    if ("PrimaryContainer" in request) == bool(containers):
        raise ValidationException("You must provide either PrimaryContainer or Containers, and not both")
    return request.get("PrimaryContainer") or _one(containers, "A model")


def _one(containers: list[Document], owner: str) -> Document:
    if len(containers) != 1:
        raise NotSupportedLocally(f"{owner} with {len(containers)} containers instead of one")
    return containers[0]


def _checked(container: Document) -> Document:
    if "Image" not in container:
        raise ValidationException("A container needs an Image or a ModelPackageName")
    checked: Document = {"Image": container["Image"], "Environment": container.get("Environment", {})}
    uri = container.get("ModelDataUrl") or _archive_of(container.get("ModelDataSource"))
    if uri is not None:
        if not S3Uri.parse(uri).key:
            raise ValidationException(f"Could not find model data at {uri}.")
        checked["ModelDataUrl"] = uri
    return checked


def _archive_of(source: Any) -> str | None:
    if source is None:
        return None
    location = source.get("S3DataSource", {})
    if (location.get("S3DataType"), location.get("CompressionType")) != ("S3Object", "Gzip"):
        raise NotSupportedLocally("A ModelDataSource that is not one S3Object compressed with Gzip")
    return str(location["S3Uri"])
