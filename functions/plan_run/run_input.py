"""The input of an execution: the operator's choices, or an event that only starts a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import AwareDatetime, Field, StrictBool, ValidationError

from plan_run.forgetting import Forget
from shared.documents import Document

# What Step Functions and its console add to an input; it has no effect.
IGNORED = re.compile(r"AWS_STEP_FUNCTIONS_\w+|[Cc]omment")
# An execution's name is part of S3 keys, and of metadata that the registry takes with these characters only.
EXECUTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=+@-]{0,79}", re.ASCII)
# ISO 8601 with an offset. Pydantic reads digits alone as seconds since 1970, such as those of "20261123".
TIME = re.compile(
    r"[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)", re.ASCII | re.IGNORECASE
)


class InputError(Exception):
    """The execution's input has an unknown key or a wrong value."""


class ExecutionNameError(Exception):
    """The execution's name cannot be part of S3 keys or of the registry's metadata."""


class RunInput(Document):
    """What an operator can choose for one run."""

    force: StrictBool = False
    as_of: AwareDatetime | None = None
    champion: Literal["none"] | None = None  # "none": the operator wants no comparison
    max_tuning_jobs: int | None = Field(default=None, ge=1, le=750)  # SageMaker's quota
    max_parallel_tuning_jobs: int | None = Field(default=None, ge=1, le=100)  # SageMaker's quota
    forget: Forget | None = None

    @property
    def forced(self) -> bool:
        """Whether the run is wanted even without new files."""
        return self.force or self.forget is not None


KEYS = [field.alias or name for name, field in RunInput.model_fields.items()]
FORGET_KEYS = list(Forget.model_fields)
NUMBERS = ("maxTuningJobs", "maxParallelTuningJobs")
EXAMPLES = {
    "force": "true or false",
    "asOf": 'a time such as "2026-11-23T04:22:52.605Z": an ISO 8601 date and time, with Z or an offset',
    "champion": '"none", or leave it out',
    "maxTuningJobs": "a number from 1 to 750",
    "maxParallelTuningJobs": "a number from 1 to 100",
    "forget": 'files by their keys or ids, such as {"files": ["raw/a.csv"], "ids": ["17"]}',
}


def read_input(content: object) -> RunInput:
    """Return the operator's choices; an event of S3, EventBridge or its Scheduler has none.

    Raises:
        InputError: names the key or value, and what is possible.
    """
    if not isinstance(content, Mapping):
        raise InputError(f"The execution's input is {shown(content)}. Start it with an object, such as {{}}.")
    if is_event(content):
        return RunInput()
    chosen = {key: value for key, value in content.items() if not IGNORED.fullmatch(key)}
    refuse_unknown(chosen, KEYS)
    check_forget(chosen)
    moment = chosen.get("asOf")
    if moment is not None and not (isinstance(moment, str) and TIME.fullmatch(moment)):
        raise wrong_value("asOf", moment)
    for key in NUMBERS:  # `true` would be read as 1
        if isinstance(chosen.get(key), bool):
            raise wrong_value(key, chosen[key])
    try:
        return RunInput.model_validate(chosen)
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        raise wrong_value(key, chosen.get(key)) from error


def check_forget(chosen: Mapping[str, Any]) -> None:
    """Refuse a `forget` that is misspelt or empty, or that could have no effect."""
    if "forget" not in chosen:
        return
    forget = chosen["forget"]
    if not isinstance(forget, Mapping) or not any(forget.values()):
        raise wrong_value("forget", forget)
    refuse_unknown(forget, FORGET_KEYS, "forget.")
    if "asOf" in chosen:
        raise InputError(
            'The execution\'s input has both "forget" and "asOf". What is forgotten stays in the datasets of '
            'earlier times: give "forget" alone.'
        )


def refuse_unknown(chosen: Iterable[str], keys: list[str], where: str = "") -> None:
    """Refuse an unknown key, with the nearest known one."""
    for key in chosen:
        if key in keys:
            continue
        names = {squeeze(name): name for name in keys}
        near = get_close_matches(squeeze(key), names, n=1, cutoff=0.5)
        hint = f" Did you mean {shown(where + names[near[0]])}?" if near else ""
        raise InputError(
            f"The execution's input has the unknown key {shown(where + key)}.{hint} The keys are "
            f"{', '.join(where + name for name in keys)}."
        )


def squeeze(name: str) -> str:
    """Return a name without case and separators, so that as_of is near asOf."""
    return re.sub(r"[\W_]", "", name).casefold()


def wrong_value(key: str, value: object) -> InputError:
    """Return the error for a value."""
    return InputError(f"The execution's input has {shown(key)}: {shown(value)}. Give {EXAMPLES[key]}.")


def is_event(content: Mapping[str, Any]) -> bool:
    """Return whether this is an event, by the shape that S3, EventBridge and its Scheduler document."""
    from_event_bridge = {"source", "detail"} <= content.keys()
    records = content.get("Records")
    from_s3 = isinstance(records, list) and all(isinstance(item, Mapping) for item in records)
    return from_event_bridge or (from_s3 and len(content) == 1)


def check_name(name: str) -> None:
    """Refuse an execution's name that a later request would be refused for.

    Raises:
        ExecutionNameError: says which characters are possible.
    """
    if not EXECUTION_NAME.fullmatch(name):
        raise ExecutionNameError(
            f"The execution's name is {shown(name)}. Start it with a name of letters, digits and _.=+@- that "
            "begins with a letter or a digit, or without a name."
        )


def shown(value: object) -> str:
    """Return a value as in JSON, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else f"{text[:99]}…"
