"""Read the environment variables that the pipeline sets for `ingest`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from processing.errors import SettingsError

TIMEOUT = "OFFLINE_STORE_TIMEOUT_MINUTES"


@dataclass(frozen=True, slots=True)
class Settings:
    """The feature group to write to, and the offline store to wait for."""

    feature_group: str
    database: str
    table: str
    athena_output_uri: str
    timeout_s: float
    bucket: str | None = None  # of the raw objects; None: they are in the input `raw`

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: A variable is missing or invalid; the message names it.
        """
        names = (
            "FEATURE_GROUP_NAME",
            "OFFLINE_STORE_DATABASE",
            "OFFLINE_STORE_TABLE",
            "ATHENA_OUTPUT_URI",
            TIMEOUT,
        )
        if missing := [name for name in names if not environment.get(name)]:
            raise SettingsError(f"environment variables are not set: {', '.join(missing)}")
        group, database, table, athena, minutes = (environment[name] for name in names)
        try:
            timeout_s = float(minutes) * 60
        except ValueError:
            timeout_s = -1
        if not 0 < timeout_s < float("inf"):
            raise SettingsError(f"{TIMEOUT} is {minutes!r}; a number of minutes above 0 is needed")
        return cls(group, database, table, athena, timeout_s, environment.get("BUCKET_NAME") or None)
