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

# The members that each operation acts on; any other is refused.
HANDLED = {
    "AddTags": ("ResourceArn", "Tags"),
    "ListTags": ("ResourceArn", "NextToken", "MaxResults"),
    "DeleteTags": ("ResourceArn", "TagKeys"),
}
PAGE_SIZE = 50  # SageMaker's smallest page of tags, and the most that one resource may have


class Tags:
    """Tags by the ARN of what they are on; what was never created, or is deleted, can have none."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._by_arn: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def operations(self) -> dict[str, Operation]:
        """Return the operations that this resource answers, by name."""
        operations = {"AddTags": self.add, "ListTags": self.list, "DeleteTags": self.delete}
        return refusing_others(operations, HANDLED, {})

    def following(self, operations: Mapping[str, Operation]) -> dict[str, Operation]:
        """The operations, where Create also keeps the tags of its request, and Delete forgets them."""
        followed = dict(operations)
        for name, operation in operations.items():
            if name.startswith("Create"):
                followed[name] = self._keeping(operation)
            elif name.startswith("Delete"):
                followed[name] = self._forgetting(name, operation)
        return followed

    def add(self, request: Document) -> Document:
        """Set tags; those of other keys stay."""
        with self._lock:
            tags = self._tags(request)
            tags |= _by_key(request["Tags"])
            return {"Tags": _as_list(tags)}

    def list(self, request: Document) -> Document:
        """A resource's tags."""
        with self._lock:
            return page("Tags", _as_list(self._tags(request)), request, PAGE_SIZE)

    def delete(self, request: Document) -> Document:
        """Remove tags by their keys."""
        with self._lock:
            tags = self._tags(request)
            for key in request["TagKeys"]:
                tags.pop(key, None)
        return {}

    def _keeping(self, create: Operation) -> Operation:
        def create_and_tag(request: Document) -> Document:
            answer = create(request)
            arn = next(value for member, value in answer.items() if member.endswith("Arn"))
            with self._lock:
                tags = self._by_arn.setdefault(arn, {})
                tags |= _by_key(request.get("Tags", []))
            return answer

        return create_and_tag

    def _forgetting(self, name: str, delete: Operation) -> Operation:
        def delete_and_forget(request: Document) -> Document:
            answer = delete(request)
            with self._lock:
                for arn in resource_arns(name, request, self._platform.arn_prefix):
                    self._by_arn.pop(arn, None)
            return answer

        return delete_and_forget

    def _tags(self, request: Document) -> dict[str, str]:
        arn = request["ResourceArn"]
        if arn not in self._by_arn:
            raise ValidationException(f"The resource {arn} does not exist")
        return self._by_arn[arn]


def _by_key(tags: list[Document]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _as_list(tags: dict[str, str]) -> list[Document]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
