"""Event times: what a record's event time may look like, and the hour whose partition it belongs to."""

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


@functools.lru_cache(maxsize=1024)  # the records of one file share it
def microseconds(value: str, feature_type: str) -> int:
    """An event time in microseconds since the epoch.

    Args:
        value: as in the record.
        feature_type: "String" or "Fractional".

    Raises:
        ValueError: it is none, or not within the years 1000 to 9999.
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
    """An event time (microseconds) as files' names in the offline store begin: 20261123T030715Z."""
    return f"{_EPOCH + event_time * _MICROSECOND:%Y%m%dT%H%M%SZ}"


def partition(event_time: int) -> str:
    """The folder of an event time (microseconds): year=2026/month=11/day=23/hour=03."""
    return f"{_EPOCH + event_time * _MICROSECOND:year=%Y/month=%m/day=%d/hour=%H}"


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
        _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(value) from error
    return seconds
