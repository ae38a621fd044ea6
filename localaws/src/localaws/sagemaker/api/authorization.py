"""Which IAM permissions a request needs.

Sources: the Service Authorization Reference, "Actions, resources, and condition keys for Amazon SageMaker";
the developer guide, "Feature Store: security and access control".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from localaws.sagemaker.api.shapes import Document


@dataclass(frozen=True)
class Permission:
    """A permission that the caller's policies must allow.

    Attributes:
        action: the IAM action, such as "sagemaker:CreateEndpoint".
        resource: the ARN of the resource; "*" for an action without resources.
        context: condition keys of the request, such as iam:PassedToService.
    """

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


Authorize = Callable[[Permission], None]
"""Raises AccessDeniedException for a permission that the caller does not have."""

_KINDS = {
    "ProcessingJob": "processing-job",
    "TrainingJob": "training-job",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "TransformJob": "transform-job",
    "Model": "model",
    "EndpointConfig": "endpoint-config",
    "Endpoint": "endpoint",
    "Pipeline": "pipeline",
    "ModelPackageGroup": "model-package-group",
    "FeatureGroup": "feature-group",
}
# Additional resources of operations that act on more than the one in their name.
_ADDITIONAL_KINDS = {"CreateEndpoint": ("EndpointConfig",), "UpdateEndpoint": ("EndpointConfig",)}
# Resources of operations that are named for something else.
_OTHER_KINDS = {
    "StartPipelineExecution": "Pipeline",
    "ListPipelineExecutions": "Pipeline",
    "InvokeEndpointAsync": "Endpoint",
    "ListTrainingJobsForHyperParameterTuningJob": "HyperParameterTuningJob",
    "PutRecord": "FeatureGroup",
    "GetRecord": "FeatureGroup",
    "DeleteRecord": "FeatureGroup",
    "UpdateRecord": "FeatureGroup",
    "ListRecords": "FeatureGroup",
}
# Operations on several feature groups, with the member that lists items with a FeatureGroupName.
_BATCHES = {"BatchWriteRecord": "Entries", "BatchGetRecord": "Identifiers"}
# Additional actions that an operation requires.
_ADDITIONAL_ACTIONS = {"BatchWriteRecord": "PutRecord"}
_VERB = re.compile(r"^(Create|Describe|Update|Delete|Stop|Start|Invoke|List|Retry)")


def required_permissions(operation: str, request: Document, arn_prefix: str) -> Iterator[Permission]:
    """Yield the permissions that a caller of the operation needs.

    Args:
        operation: the operation's name, such as "CreateEndpoint".
        request: the request's members.
        arn_prefix: the account's prefix, such as "arn:aws:sagemaker:us-east-1:000000000000:".
    """
    resources = list(resource_arns(operation, request, arn_prefix)) or ["*"]
    for resource in resources:
        yield Permission(f"sagemaker:{operation}", resource)
        if operation in _ADDITIONAL_ACTIONS:
            yield Permission(f"sagemaker:{_ADDITIONAL_ACTIONS[operation]}", resource)
    if request.get("Tags") and operation.startswith("Create"):
        yield Permission("sagemaker:AddTags", resources[0])
    for passing in (request, request.get("TrainingJobDefinition", {})):
        for member in ("RoleArn", "ExecutionRoleArn"):
            if passing.get(member):
                yield Permission(
                    "iam:PassRole", passing[member], {"iam:PassedToService": "sagemaker.amazonaws.com"}
                )


def resource_arns(operation: str, request: Document, arn_prefix: str) -> Iterator[str]:
    """Yield the ARNs of the resources that a request acts on; none if its operation names no resource."""
    arn = request.get("PipelineExecutionArn") or request.get("ResourceArn")
    if arn:
        yield arn
        return
    if operation in _BATCHES:
        names = {item["FeatureGroupName"].lower() for item in request[_BATCHES[operation]]}
        yield from sorted({_arn(name, "feature-group", arn_prefix) for name in names})
        return
    if operation.endswith("ModelPackage"):
        yield _model_package_arn(request, arn_prefix)
        return
    resource_kind = _OTHER_KINDS.get(operation, _VERB.sub("", operation))
    for kind in (resource_kind, *_ADDITIONAL_KINDS.get(operation, ())):
        name = request.get(f"{kind}Name")
        if kind in _KINDS and name:
            yield _arn(name, _KINDS[kind], arn_prefix)


def _model_package_arn(request: Document, arn_prefix: str) -> str:
    if "ModelPackageGroupName" in request:
        # The version does not exist yet; policies name a group's packages as group/*.
        group = request["ModelPackageGroupName"].rsplit("/", 1)[-1]
        return _arn(group, "model-package", arn_prefix) + "/*"
    return _arn(
        request.get("ModelPackageName") or request.get("ModelPackageArn") or "*", "model-package", arn_prefix
    )


def _arn(name: str, kind: str, arn_prefix: str) -> str:
    return name if name.startswith("arn:") else f"{arn_prefix}{kind}/{name.lower()}"
