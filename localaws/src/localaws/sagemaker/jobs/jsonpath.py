"""The JSONPath dialect of batch transform's filters; a path selects one value.

`$` is the whole value; `.name`, `.*` and `['name']` select a member; `['a','b']` keeps some members of an
object; `[0]` selects an element of an array; `[0,2]`, `[1:]` and `[0,5:]` keep some elements. After a
selection of several elements, the rest of the path applies to each of them.

Source: "Associate Prediction Results with Input Records", supported JSONPath operators.
"""

import re
from dataclasses import dataclass
from typing import Any

from localaws.sagemaker.api.errors import ClientFailure, ValidationException

_STEP = re.compile(r"\.(?P<name>\w+|\*)|\[(?P<selection>(?:'[^']*'|\"[^\"]*\"|[^\]'\"])*)\]")
_NAME = re.compile(r"\s*(?:'([^']*)'|\"([^\"]*)\")\s*")
_INDEX = re.compile(r"\s*(-?\d+)\s*")
_SLICE = re.compile(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*")

Step = str | int | tuple["str | int | slice", ...]
_ALL: Step = (slice(None),)


@dataclass(frozen=True)
class JsonPath:
    """A compiled path."""

    text: str
    steps: tuple[Step, ...]

    @classmethod
    def compile(cls, text: str) -> "JsonPath":
        """Parse a path.

        Raises:
            ValidationException: the text is not a path of this dialect.
        """
        steps: list[Step] = []
        position = 1
        while position < len(text):
            found = _STEP.match(text, position)
            if found is None:
                break
            steps.append(_step(found["name"], found["selection"], text))
            position = found.end()
        if not text.startswith("$") or position != max(1, len(text)):
            raise ValidationException(f"The JSONPath expression {text!r} is not supported")
        return cls(text, tuple(steps))

    @property
    def is_whole(self) -> bool:
        """Whether the path is `$`, the whole value."""
        return not self.steps

    def select(self, value: Any) -> Any:
        """Return the part of a value that the path selects.

        Raises:
            ClientFailure: the value has no such part.
        """
        try:
            return _select(value, self.steps)
        except (KeyError, IndexError, TypeError) as error:
            raise ClientFailure(
                f"The JSONPath expression {self.text!r} matches nothing in a record: {error!r}"
            ) from error


def _step(name: str | None, selection: str | None, text: str) -> Step:
    if name is not None:
        return _ALL if name == "*" else name
    if (selection or "").strip() == "*":
        return _ALL
    selected = tuple(_parse_selector(part, text) for part in _selectors(selection or ""))
    return selected[0] if len(selected) == 1 and not isinstance(selected[0], slice) else selected


def _selectors(selection: str) -> list[str]:
    return re.findall(r"(?:'[^']*'|\"[^\"]*\"|[^,'\"])+", selection) or [""]


def _parse_selector(part: str, text: str) -> str | int | slice:
    if found := _NAME.fullmatch(part):
        return found[1] if found[1] is not None else found[2]
    if found := _INDEX.fullmatch(part):
        return int(found[1])
    if found := _SLICE.fullmatch(part):
        return slice(*(None if number is None else int(number) for number in found.groups()))
    raise ValidationException(f"The JSONPath expression {text!r} is not supported")


def _select(value: Any, steps: tuple[Step, ...]) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if not isinstance(step, tuple):
        return _select(_item(value, step), rest)
    if all(isinstance(name, str) for name in step):
        kept = {name: _item(value, name) for name in step if isinstance(name, str)}
        return _select(kept, rest)
    elements: Any = list(value.values()) if isinstance(value, dict) and step == _ALL else value
    if not isinstance(elements, list):
        raise TypeError(f"{type(value).__name__} is not an array")
    selected: list[Any] = []
    for one in step:
        if isinstance(one, slice):
            selected += elements[one]
        else:
            selected.append(_item(elements, one))
    return [_select(element, rest) for element in selected]


def _item(value: Any, key: str | int) -> Any:
    if isinstance(key, str) and isinstance(value, dict):
        return value[key]
    if isinstance(key, int) and isinstance(value, list):
        return value[key]
    raise TypeError(f"{type(value).__name__} has no {key!r}")
