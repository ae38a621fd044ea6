"""The ranges: what a search varies per container, as its tuning.json declares."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from botocore.model import ListShape, Shape, StringShape, StructureShape
from botocore.session import Session
from botocore.validate import ParamValidator

FILE = "tuning.json"
KEY = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")  # valid in a CloudFormation mapping and as a repository
Ranges = dict[str, list[dict[str, Any]]]


class RangesError(Exception):
    """A tuning.json is invalid; the message names the file and what to change."""


def read_ranges(containers: Path) -> dict[str, Ranges]:
    """Return the ranges of each container that has some, by its folder's name.

    Raises:
        RangesError: one of the files is not what CreateHyperParameterTuningJob takes as ParameterRanges.
    """
    return {path.parent.name: _read(path) for path in sorted(containers.glob(f"*/{FILE}"))}


def _read(path: Path) -> Ranges:
    shown = f"{path.parent.name}/{FILE}"
    if not KEY.fullmatch(path.parent.name):
        raise RangesError(f"{shown}: a folder that is tuned has a name of small letters, digits, '-' and '.'")
    try:
        ranges: Ranges = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RangesError(f"{shown} is not JSON: {error}") from error
    report = ParamValidator().validate(ranges, _shape())
    found = [report.generate_report()] if report.has_errors() else list(_violations(ranges, _shape()))
    if found:
        raise RangesError(f"{shown} is not SageMaker's ParameterRanges: {'; '.join(found)}")
    names = [item["Name"] for kind in ranges.values() for item in kind]
    if not names or len(set(names)) < len(names):
        raise RangesError(
            f"{shown} has the ranges {names}: give at least one, each hyperparameter once, or delete the file"
        )
    return ranges


@cache
def _shape() -> Shape:
    return Session().get_service_model("sagemaker").shape_for("ParameterRanges")


def _violations(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """Yield what botocore does not check: enumerations, and the lengths of lists."""
    if isinstance(shape, StructureShape):
        for name, item in value.items():
            yield from _violations(item, shape.members[name], f"{path}.{name}".lstrip("."))
    elif isinstance(shape, ListShape):
        if len(value) > shape.metadata["max"]:
            yield f"{path} has {len(value)} items, the most are {shape.metadata['max']}"
        for index, item in enumerate(value):
            yield from _violations(item, shape.member, f"{path}[{index}]")
    elif isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"{path} is {value!r} and has to be one of {', '.join(shape.enum)}"
