"""Parse event times and derive their partitions and file name prefixes."""

import functools
import re
from datetime import UTC, datetime, timedelta

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
FORMATS = {
    "String": "yyyy-MM-dd'T'HH:mm:ssZ or yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "Fractional": "seconds since the epoch",
}


@functools.lru_cache(maxsize=1024)  # all records of one input file have the same event time
def microseconds(value: str, feature_type: str) -> int:
    """Convert an event time to microseconds since the epoch.

    Args:
        value: the feature's value in the record.
        feature_type: "String" or "Fractional".

    Raises:
        ValueError: the value is not an event time, or its year is not between 1000 and 9999.
    """
    if feature_type == "Fractional":
        moment = _EPOCH + timedelta(seconds=_seconds(value))
    elif _ISO.fullmatch(value):
        moment = datetime.fromisoformat(value)
    else:
        raise ValueError(value)
    if moment.year < 1000:
        raise ValueError(value)
    return (moment - _EPOCH) // _MICROSECOND


def stamp(event_time: int) -> str:
    """Format an event time (microseconds) as an offline store file name's prefix: 20261123T030715Z."""
    return f"{_EPOCH + event_time * _MICROSECOND:%Y%m%dT%H%M%SZ}"


def partition(event_time: int) -> str:
    """Return the partition folder of an event time (microseconds): year=2026/month=11/day=23/hour=03."""
    return f"{_EPOCH + event_time * _MICROSECOND:year=%Y/month=%m/day=%d/hour=%H}"


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
        _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(value) from error
    return seconds
