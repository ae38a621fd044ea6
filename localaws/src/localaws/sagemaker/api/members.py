"""Reject members of a request that are not supported.

Each resource lists the members that it handles and those without effect on one machine; all others are
rejected. A path such as "InputDataConfig.DataSource.S3DataSource" includes the items of lists.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from localaws.sagemaker.api.errors import NotSupportedLocally
from localaws.sagemaker.api.operations import Operation
from localaws.sagemaker.api.shapes import Document


def values(request: Document, path: str) -> Iterator[Any]:
    """Yield the values at a path."""
    found: list[Any] = [request]
    for name in path.split("."):
        found = [item[name] for item in found if isinstance(item, dict) and name in item]
        found = [item for value in found for item in (value if isinstance(value, list) else [value])]
    yield from found


def refuse(request: Document, *paths: str) -> None:
    """Reject these members unless they are missing or empty.

    Raises:
        NotSupportedLocally: a member has a value.
    """
    for path in paths:
        if any(values(request, path)):
            raise NotSupportedLocally(f"The member {path}")


def refuse_others(request: Document, known: Collection[str]) -> None:
    """Reject every member that is not among the known ones, unless it is empty.

    Raises:
        NotSupportedLocally: an unknown member has a value.
    """
    for path in _others(request, known):
        refuse(request, path)


def refuse_values(request: Document, path: str, *rejected: str) -> None:
    """Reject these values of a member.

    Raises:
        NotSupportedLocally: the member has one of the values.
    """
    for value in values(request, path):
        if value in rejected:
            raise NotSupportedLocally(f"The value {value} of {path}")


def refusing_others(
    operations: Mapping[str, Operation],
    handled: Mapping[str, tuple[str, ...]],
    without_effect: Mapping[str, tuple[str, ...]],
) -> dict[str, Operation]:
    """Return the operations, wrapped to reject members that are neither handled nor without effect."""

    def guarded(operation: Operation, known: tuple[str, ...]) -> Operation:
        def checked(request: Document) -> Document:
            refuse_others(request, known)
            return operation(request)

        return checked

    return {
        name: guarded(operation, (*handled[name], *without_effect.get(name, ())))
        for name, operation in operations.items()
    }


def _others(value: Any, known: Collection[str], path: str = "") -> Iterator[str]:
    """Yield the paths of unknown members in a request, or in its value at `path`."""
    for item in value if isinstance(value, list) else [value]:
        for name, member in item.items():
            member_path = f"{path}.{name}" if path else name
            if any(item.startswith(f"{member_path}.") for item in known):
                yield from _others(member, known, member_path)
            elif member_path not in known:
                yield member_path
