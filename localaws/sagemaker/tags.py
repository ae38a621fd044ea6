"""Tags of SageMaker's resources."""

import threading

from localaws.sagemaker.http import Operation
from localaws.sagemaker.shapes import Document


class Tags:
    """Tags by the ARN of what they are on."""

    def __init__(self) -> None:
        self._by_arn: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def operations(self) -> dict[str, Operation]:
        """The operations that this noun answers."""
        return {"AddTags": self.add, "ListTags": self.list, "DeleteTags": self.delete}

    def keeping(self, create: Operation) -> Operation:
        """A Create operation that also keeps the tags of its request."""

        def create_and_tag(request: Document) -> Document:
            answer = create(request)
            arn = next((value for member, value in answer.items() if member.endswith("Arn")), None)
            if arn and request.get("Tags"):
                self.add({"ResourceArn": arn, "Tags": request["Tags"]})
            return answer

        return create_and_tag

    def add(self, request: Document) -> Document:
        """Set tags; those of other keys stay."""
        with self._lock:
            tags = self._by_arn.setdefault(request["ResourceArn"], {})
            tags |= {tag["Key"]: tag["Value"] for tag in request["Tags"]}
            return {"Tags": _as_list(tags)}

    def list(self, request: Document) -> Document:
        """A resource's tags."""
        with self._lock:
            return {"Tags": _as_list(self._by_arn.get(request["ResourceArn"], {}))}

    def delete(self, request: Document) -> Document:
        """Remove tags by their keys."""
        with self._lock:
            for key in request["TagKeys"]:
                self._by_arn.get(request["ResourceArn"], {}).pop(key, None)
        return {}


def _as_list(tags: dict[str, str]) -> list[Document]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
