"""The API operations on model package groups and model packages."""

from localaws.runtimes.container import ImageError
from localaws.sagemaker.api.errors import ConflictException, ValidationException
from localaws.sagemaker.api.members import refuse_values, refusing_others
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import Records, list_page, now

_PAGE = ("SortBy", "SortOrder", "NextToken", "MaxResults")
_CREATED = ("CreationTimeAfter", "CreationTimeBefore", "NameContains")
_UPDATABLE = (
    "ModelApprovalStatus",
    "ModelPackageRegistrationType",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)
# The supported members per operation; all others are rejected.
HANDLED = {
    "CreateModelPackageGroup": ("ModelPackageGroupName", "ModelPackageGroupDescription", "Tags"),
    "DescribeModelPackageGroup": ("ModelPackageGroupName",),
    "DeleteModelPackageGroup": ("ModelPackageGroupName",),
    "ListModelPackageGroups": (*_PAGE, *_CREATED, "CrossAccountFilterOption"),
    "CreateModelPackage": (
        "ModelPackageName",
        "ModelPackageGroupName",
        "ModelPackageDescription",
        "ModelPackageRegistrationType",
        "InferenceSpecification",
        "Tags",
        "ModelApprovalStatus",
        "MetadataProperties",
        "ModelMetrics",
        "ClientToken",
        "Domain",
        "Task",
        "SamplePayloadUrl",
        "CustomerMetadataProperties",
        "DriftCheckBaselines",
        "AdditionalInferenceSpecifications",
        "SourceUri",
        "ModelCard",
        "ModelLifeCycle",
    ),
    "DescribeModelPackage": ("ModelPackageName", "IncludedData"),
    "UpdateModelPackage": (
        "ModelPackageArn",
        *_UPDATABLE,
        "CustomerMetadataProperties",
        "CustomerMetadataPropertiesToRemove",
        "AdditionalInferenceSpecificationsToAdd",
    ),
    "DeleteModelPackage": ("ModelPackageName",),
    "ListModelPackages": (
        *_PAGE,
        *_CREATED,
        "ModelApprovalStatus",
        "ModelPackageGroupName",
        "ModelPackageType",
    ),
}
# Accepted and ignored: nothing is encrypted or validated here, and a repeated update has no further effect.
WITHOUT_EFFECT = {
    "CreateModelPackage": ("SecurityConfig", "SkipModelValidation"),
    "UpdateModelPackage": ("ClientToken",),
}
MAX_ADDITIONAL_SPECIFICATIONS = 15  # SageMaker's quota for one model package


class ModelRegistry:
    """Model package groups and model packages."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._groups = Records()
        self._packages = Records()

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this resource, by name."""
        operations: dict[str, Operation] = {
            "CreateModelPackageGroup": self.create_group,
            "DescribeModelPackageGroup": self.describe_group,
            "DeleteModelPackageGroup": self.delete_group,
            "ListModelPackageGroups": self.list_groups,
            "CreateModelPackage": self.create,
            "DescribeModelPackage": self.describe,
            "UpdateModelPackage": self.update,
            "DeleteModelPackage": self.delete,
            "ListModelPackages": self.list,
        }
        return refusing_others(operations, HANDLED, WITHOUT_EFFECT)

    def get(self, name_or_arn: str) -> Document:
        """Return a model package's record.

        Raises:
            ValidationException: the model package does not exist.
        """
        arn = name_or_arn
        if not name_or_arn.startswith("arn:"):
            arn = self._platform.arn("model-package", name_or_arn)
        return self._packages.get(arn, ValidationException(f"ModelPackage {name_or_arn} does not exist."))

    def create_group(self, request: Document) -> Document:
        """Create an empty group."""
        name = request["ModelPackageGroupName"]
        arn = self._platform.arn("model-package-group", name)
        record = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": arn,
            "ModelPackageGroupDescription": request.get("ModelPackageGroupDescription"),
            "CreationTime": now(),
            "ModelPackageGroupStatus": "Completed",
        }
        self._groups.add(name, record, ValidationException(f"Model Package Group already exists: {arn}"))
        return {"ModelPackageGroupArn": arn}

    def describe_group(self, request: Document) -> Document:
        """Return a group by name or ARN."""
        return self._group(request["ModelPackageGroupName"])

    def delete_group(self, request: Document) -> Document:
        """Delete an empty group."""
        with self._packages.lock:
            name = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
            if any(package.get("ModelPackageGroupName") == name for package in self._packages):
                raise ConflictException(
                    f"Model Package Group {name} cannot be deleted: it has model packages"
                )
            self._groups.remove(name, _no_group(name))
        return {}

    def list_groups(self, request: Document) -> Document:
        """Return a page of this account's groups."""
        refuse_values(request, "CrossAccountFilterOption", "CrossAccount")
        return list_page("ListModelPackageGroups", iter(self._groups), request, "ModelPackageGroup")

    def create(self, request: Document) -> Document:
        """Register a group's next version or an unversioned package; idempotent per ClientToken."""
        token = request.get("ClientToken")
        with self._packages.lock:
            for package in self._packages:
                if token is not None and package.get("ClientToken") == token:
                    return {"ModelPackageArn": package["ModelPackageArn"]}
            identity = self._identity(request)
            arn = identity["ModelPackageArn"]
            specified = {member: value for member, value in request.items() if member != "Tags"}
            if specification := request.get("InferenceSpecification"):
                specified["InferenceSpecification"] = self._with_digests(specification)
            details: Document = {"ModelPackageStatusDetails": {"ValidationStatuses": []}}
            record = (
                specified | identity | details | {"ModelPackageStatus": "Completed", "CreationTime": now()}
            )
            self._packages.add(arn, record, ValidationException(f"ModelPackage {arn} already exists"))
        return {"ModelPackageArn": arn}

    def _with_digests(self, specification: Document) -> Document:
        """Return an inference specification with the current ImageDigest of each local image."""
        return specification | {
            "Containers": [self._with_digest(container) for container in specification["Containers"]]
        }

    def _with_digest(self, container: Document) -> Document:
        if "Image" not in container or "ImageDigest" in container:
            return container
        try:
            return container | {"ImageDigest": f"sha256:{self._platform.runtime.digest(container['Image'])}"}
        except ImageError:
            return container

    def describe(self, request: Document) -> Document:
        """Return a model package by ARN or name."""
        refuse_values(request, "IncludedData", "MetadataOnly")
        return self.get(request["ModelPackageName"])

    def update(self, request: Document) -> Document:
        """Update the approval and other updatable members."""
        with self._packages.lock:
            record = self.get(request["ModelPackageArn"])
            changes = {member: request[member] for member in _UPDATABLE if member in request}
            changes["CustomerMetadataProperties"] = _metadata(record, request) or None
            changes["AdditionalInferenceSpecifications"] = _specifications(record, request) or None
            self._packages.update(record["ModelPackageArn"], **changes)
        return {"ModelPackageArn": record["ModelPackageArn"]}

    def delete(self, request: Document) -> Document:
        """Delete a model package."""
        arn = self.get(request["ModelPackageName"])["ModelPackageArn"]
        self._packages.remove(arn, ValidationException(f"ModelPackage {arn} does not exist."))
        return {}

    def list(self, request: Document) -> Document:
        """Return a page of model packages: a group's versions, or without a group the unversioned ones."""
        group = request.get("ModelPackageGroupName")
        name = self._group(group)["ModelPackageGroupName"] if group else None
        kind = request.get("ModelPackageType", "Versioned" if group else "Unversioned")
        approval = request.get("ModelApprovalStatus")
        found = (
            package
            for package in self._packages
            if name in (None, package.get("ModelPackageGroupName"))
            and kind in ("Both", "Versioned" if "ModelPackageVersion" in package else "Unversioned")
            and approval in (None, package.get("ModelApprovalStatus"))
        )
        return list_page("ListModelPackages", found, request, "ModelPackage")

    def _identity(self, request: Document) -> Document:
        if ("ModelPackageName" in request) == ("ModelPackageGroupName" in request):
            raise ValidationException(
                "Either ModelPackageName or ModelPackageGroupName is required, and not both"
            )
        if "ModelPackageName" in request:
            return {"ModelPackageArn": self._platform.arn("model-package", request["ModelPackageName"])}
        group = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
        versions = [
            package["ModelPackageVersion"]
            for package in self._packages
            if package.get("ModelPackageGroupName") == group
        ]
        # Version numbers are never reused, even if the newest version is deleted.
        last = max([*versions, self._groups.get(group, _no_group(group)).get("_last_version", 0)])
        self._groups.update(group, _last_version=last + 1)
        return {
            "ModelPackageGroupName": group,
            "ModelPackageVersion": last + 1,
            "ModelPackageName": f"{group}/{last + 1}",
            "ModelPackageArn": self._platform.arn("model-package", f"{group}/{last + 1}"),
            "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
        }

    def _group(self, name_or_arn: str) -> Document:
        for group in self._groups:
            if name_or_arn in (group["ModelPackageGroupName"], group["ModelPackageGroupArn"]):
                return group
        raise _no_group(name_or_arn)


def _metadata(record: Document, request: Document) -> Document:
    removed = request.get("CustomerMetadataPropertiesToRemove", [])
    properties = record.get("CustomerMetadataProperties", {}) | request.get("CustomerMetadataProperties", {})
    return {name: value for name, value in properties.items() if name not in removed}


def _specifications(record: Document, request: Document) -> list[Document]:
    added = request.get("AdditionalInferenceSpecificationsToAdd", [])
    specifications: list[Document] = [*record.get("AdditionalInferenceSpecifications", []), *added]
    if len(specifications) > MAX_ADDITIONAL_SPECIFICATIONS:
        raise ValidationException(
            f"A model package has at most {MAX_ADDITIONAL_SPECIFICATIONS} additional inference "
            f"specifications, not {len(specifications)}"
        )
    return specifications


def _no_group(name: str) -> ValidationException:
    return ValidationException(f"Model Package Group {name} does not exist.")
