"""Validate records against the schema of a feature group."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from localaws.sagemaker.api.errors import ValidationError
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.featurestore import event_times

_INTEGRAL = re.compile(r"[-+]?[0-9]{1,19}")
_FRACTIONAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_INTEGRAL_BOUND = 2**63
IDENTIFIER_BYTES = 2 << 10  # of a record identifier, a quota of the feature store
RECORD_BYTES = 350 << 10  # of a record's values, the same

_encode = json.JSONEncoder(ensure_ascii=False).encode


def _is_integral(value: str) -> bool:
    return bool(_INTEGRAL.fullmatch(value)) and -_INTEGRAL_BOUND <= int(value) < _INTEGRAL_BOUND


def _is_fractional(value: str) -> bool:
    return bool(_FRACTIONAL.fullmatch(value)) and abs(float(value)) != float("inf")


_TYPES: Mapping[str, Callable[[str], bool]] = {
    "String": lambda value: True,
    "Integral": _is_integral,
    "Fractional": _is_fractional,
}


@dataclass(frozen=True, slots=True)
class Record:
    """A record that conforms to its group's schema.

    Attributes:
        identifier: the record identifier's value.
        event_time: in microseconds since the epoch.
        content: the features as a JSON object of strings.
    """

    identifier: str
    event_time: int
    content: str


@dataclass(frozen=True)
class Schema:
    """The schema of a group's records.

    Attributes:
        identifier: the name of the record identifier feature.
        event_time: the name of the event time feature.
        types: the feature types by feature name, in order.
    """

    identifier: str
    event_time: str
    types: Mapping[str, str]

    @classmethod
    def of(cls, group: Document) -> "Schema":
        """Return the schema of a feature group's record or request."""
        types = {feature["FeatureName"]: feature["FeatureType"] for feature in group["FeatureDefinitions"]}
        return cls(group["RecordIdentifierFeatureName"], group["EventTimeFeatureName"], types)

    def record(self, feature_values: Iterable[Document]) -> Record:
        """Parse the Record member of a request.

        Raises:
            ValidationError: the record violates the schema.
        """
        values: dict[str, str] = {}
        for feature in feature_values:
            name = feature["FeatureName"]
            if name in values:
                raise ValidationError(f"Validation Error: The feature {name} occurs more than once")
            values[name] = self._value(name, feature)
        return self._record(values)

    def deletion_marker(self, identifier: str, event_time: str) -> Record:
        """Return the record that marks a deletion: only the identifier and the event time have values.

        Raises:
            ValidationError: a value violates the schema.
        """
        features = {self.identifier: identifier, self.event_time: event_time}
        return self.record({"FeatureName": name, "ValueAsString": value} for name, value in features.items())

    def checked(self, names: Iterable[str]) -> list[str]:
        """Return the feature names after checking that each feature exists.

        Raises:
            ValidationError: the group has no feature of that name.
        """
        found = list(names)
        for name in found:
            self._checks_of(name)
        return found

    @cached_property
    def _checks(self) -> dict[str, Callable[[str], bool]]:
        return {name: _TYPES[feature_type] for name, feature_type in self.types.items()}

    def _checks_of(self, name: str) -> Callable[[str], bool]:
        if name not in self._checks:
            raise ValidationError(f"Validation Error: The FeatureGroup has no feature {name}")
        return self._checks[name]

    def _value(self, name: str, feature: Document) -> str:
        is_valid = self._checks_of(name)
        value: str | None = feature.get("ValueAsString")
        if value is None or "ValueAsStringList" in feature:
            raise ValidationError(
                f"Validation Error: The feature {name} is not a collection: it needs ValueAsString "
                "instead of ValueAsStringList"
            )
        if not is_valid(value):
            raise ValidationError(
                f"Validation Error: the value {value[:64]!r} of the feature {name} is not {self.types[name]}"
            )
        return value

    def _record(self, values: dict[str, str]) -> Record:
        for name in (self.identifier, self.event_time):
            if name not in values:
                raise ValidationError(f"Validation Error: The record has no value for the feature {name}")
        moment, kind = values[self.event_time], self.types[self.event_time]
        try:
            event_time = event_times.microseconds(moment, kind)
        except ValueError as error:
            raise ValidationError(
                f"Validation Error: the value {moment[:64]!r} of the event time {self.event_time} must be "
                f"{event_times.FORMATS[kind]}"
            ) from error
        content = _encode(values)
        if not _is_unicode(content):
            raise ValidationError(
                "Validation Error: The record is not valid Unicode: it contains an unpaired surrogate"
            )
        if _size(values[self.identifier]) > IDENTIFIER_BYTES:
            raise ValidationError(
                f"Validation Error: The value of the record identifier {self.identifier} is longer than "
                f"{IDENTIFIER_BYTES} bytes"
            )
        if len(content) * 4 > RECORD_BYTES and sum(map(_size, values.values())) > RECORD_BYTES:
            raise ValidationError(f"Validation Error: The record is larger than {RECORD_BYTES} bytes")
        return Record(values[self.identifier], event_time, content)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _size(text: str) -> int:
    return len(text.encode())
