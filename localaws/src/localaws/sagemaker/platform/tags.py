"""Tags of SageMaker's resources."""

import threading
from collections.abc import Mapping

from localaws.sagemaker.api.authorization import resource_arns
from localaws.sagemaker.api.errors import ValidationException
from localaws.sagemaker.api.members import refusing_others
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.records import page

# The supported members per operation; all others are rejected.
HANDLED = {
    "AddTags": ("ResourceArn", "Tags"),
    "ListTags": ("ResourceArn", "NextToken", "MaxResults"),
    "DeleteTags": ("ResourceArn", "TagKeys"),
}
PAGE_SIZE = 50  # SageMaker's minimum page size of ListTags, and its maximum of tags per resource


class Tags:
    """Tags by the ARN of their resource; only resources that exist can have tags."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._by_arn: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this resource, by name."""
        operations = {"AddTags": self.add, "ListTags": self.list, "DeleteTags": self.delete}
        return refusing_others(operations, HANDLED, {})

    def wrap_operations(self, operations: Mapping[str, Operation]) -> dict[str, Operation]:
        """Return the operations; Create also stores the tags of its request, and Delete removes them."""
        wrapped = dict(operations)
        for name, operation in operations.items():
            if name.startswith("Create"):
                wrapped[name] = self._with_tags(operation)
            elif name.startswith("Delete"):
                wrapped[name] = self._with_removal(name, operation)
        return wrapped

    def add(self, request: Document) -> Document:
        """Set tags; tags with other keys are kept."""
        with self._lock:
            tags = self._tags(request)
            tags |= _by_key(request["Tags"])
            return {"Tags": _as_list(tags)}

    def list(self, request: Document) -> Document:
        """Return a page of a resource's tags."""
        with self._lock:
            return page("Tags", _as_list(self._tags(request)), request, PAGE_SIZE)

    def delete(self, request: Document) -> Document:
        """Remove tags by their keys."""
        with self._lock:
            tags = self._tags(request)
            for key in request["TagKeys"]:
                tags.pop(key, None)
        return {}

    def _with_tags(self, create: Operation) -> Operation:
        def create_and_tag(request: Document) -> Document:
            response = create(request)
            arn = next(value for member, value in response.items() if member.endswith("Arn"))
            with self._lock:
                tags = self._by_arn.setdefault(arn, {})
                tags |= _by_key(request.get("Tags", []))
            return response

        return create_and_tag

    def _with_removal(self, name: str, delete: Operation) -> Operation:
        def delete_with_tags(request: Document) -> Document:
            response = delete(request)
            with self._lock:
                for arn in resource_arns(name, request, self._platform.arn_prefix):
                    self._by_arn.pop(arn, None)
            return response

        return delete_with_tags

    def _tags(self, request: Document) -> dict[str, str]:
        arn = request["ResourceArn"]
        if arn not in self._by_arn:
            raise ValidationException(f"The resource {arn} does not exist")
        return self._by_arn[arn]


def _by_key(tags: list[Document]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _as_list(tags: dict[str, str]) -> list[Document]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
