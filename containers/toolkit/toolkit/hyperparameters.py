"""Parse hyperparameters, which SageMaker passes as strings, into a dataclass."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints

from toolkit.errors import HyperparameterError

# Added by AWS's SDK for its own toolkits, and by a tuning job to name its objective.
RESERVED_PREFIXES = ("sagemaker_", "_tuning_objective_metric")
BOOLEANS = {"true": True, "false": False}


class Settings(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Range:
    """The closed range of a numeric field: ``Annotated[int, Range(1, 4)]``."""

    low: float
    high: float


def parse(settings: type[S], values: Mapping[str, str]) -> S:
    """Make an instance of a settings dataclass from strings.

    Args:
        settings: A dataclass whose fields are int, float (each with a Range), bool, str, or a Literal of
            strings.

    Raises:
        HyperparameterError: A name is unknown, a value is invalid, or a required one is missing.
    """
    kinds = get_type_hints(settings, include_extras=True)
    own = {name: value for name, value in values.items() if not name.startswith(RESERVED_PREFIXES)}
    for name in own:
        if name not in kinds:
            raise HyperparameterError(f"unknown hyperparameter '{name}'; {_hint(name, list(kinds))}")
    for field in fields(settings):
        if field.name not in own and field.default is field.default_factory is MISSING:
            raise HyperparameterError(f"the hyperparameter '{field.name}' is required")
    return settings(**{name: _value(name, str(value), kinds[name]) for name, value in own.items()})


def _hint(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"the hyperparameters are {', '.join(names)}"


def _value(name: str, text: str, kind: Any) -> Any:
    if kind is str:
        return text
    if kind is bool or get_origin(kind) is Literal:
        choices = BOOLEANS if kind is bool else {choice: choice for choice in get_args(kind)}
        if text not in choices:
            raise HyperparameterError(f"{name} must be {' or '.join(choices)}, not '{text}'")
        return choices[text]
    number, allowed = get_args(kind)
    noun = "a whole number" if number is int else "a number"
    wanted = f"{name} must be {noun} from {allowed.low:g} to {allowed.high:g}, not '{text}'"
    try:
        value = number(text)
    except ValueError as error:
        raise HyperparameterError(wanted) from error
    if not allowed.low <= value <= allowed.high:  # NaN is in no range
        raise HyperparameterError(wanted)
    return value
