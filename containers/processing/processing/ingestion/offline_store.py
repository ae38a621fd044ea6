"""Wait until written records are visible in the offline store, which the dataset is created from."""

import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from processing.errors import VisibilityError

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
GROWTH = 1.6
QUERY_PAUSE_S = 0.2
MAX_QUERY_S = 120.0
MAX_QUERIES = 5  # attempts of one query
REPORTED_FILES = 3

Expected = Mapping[tuple[str, str], int]  # records by source and event time; deletions have an empty source


def connect() -> "AthenaClient":
    """Create an Athena client."""
    return boto3.client("athena", config=Config(retries={"mode": "standard", "total_max_attempts": 8}))


class OfflineStore:
    """The table of the offline store in Athena."""

    def __init__(self, client: "AthenaClient", database: str, table: str, output_uri: str) -> None:
        self.client, self.database, self.table, self.output_uri = client, database, table, output_uri

    def wait_for(self, expected: Expected, timeout_s: float) -> None:
        """Wait until every record is visible.

        Raises:
            VisibilityError: Athena fails, or records are not visible in time; the message lists files.
        """
        started, pause = time.monotonic(), FIRST_PAUSE_S
        total = sum(expected.values())
        visible = dict.fromkeys(expected, 0)
        while expected:
            for file, found in self.visible(expected).items():
                visible[file] = max(visible[file], found)  # a failed query does not reduce the count
            count = sum(visible.values())
            print(f"{count:,} of {total:,} records are visible in the offline store", flush=True)
            if count == total:
                return
            left = started + timeout_s - time.monotonic()
            if left <= 0:
                raise VisibilityError(timeout_message(expected, visible, timeout_s))
            time.sleep(min(pause, left))
            pause = min(pause * GROWTH, MAX_PAUSE_S)

    def visible(self, expected: Expected) -> dict[tuple[str, str], int]:
        """Return the number of visible records of those expected, by source and event time."""
        times = [event_time for _, event_time in expected]
        # The plan's event times are validated. Each file has its own, so the range includes few other
        # records.
        query = (
            # A deletion has no source, which Athena returns as an empty text.
            "SELECT source, event_time, count(DISTINCT record_id) "  # noqa: S608
            f"FROM {identifier(self.table)} "
            f"WHERE event_time BETWEEN '{min(times)}' AND '{max(times)}' GROUP BY source, event_time"
        )
        found = {(source, at): int(count) for source, at, count in self.rows(query)}
        return {file: min(count, found.get(file, 0)) for file, count in expected.items()}

    def rows(self, query: str) -> list[list[str]]:
        """Return a query's rows without the header; none on a timeout or a retryable error."""
        execution = self.run(query)
        return list(self.read(execution)) if execution else []

    def find(self, query: str) -> Iterator[list[str]]:
        """Return a query's rows without the header.

        Raises:
            VisibilityError: Athena fails repeatedly.
        """
        for attempt in range(MAX_QUERIES):
            if execution := self.run(query):
                return self.read(execution)
            time.sleep(FIRST_PAUSE_S * GROWTH**attempt)
        raise VisibilityError(
            f"Athena did not answer {MAX_QUERIES} queries of {self.database}.{self.table}; start the "
            "workflow again once it does"
        )

    def run(self, query: str) -> str | None:
        """Run a query; return its execution's id, or None on a timeout or a retryable error."""
        deadline = time.monotonic() + MAX_QUERY_S
        execution = self.client.start_query_execution(
            QueryString=query,
            QueryExecutionContext={"Database": self.database},
            ResultConfiguration={"OutputLocation": self.output_uri},
        )["QueryExecutionId"]
        while True:
            answer = self.client.get_query_execution(QueryExecutionId=execution)
            status = answer["QueryExecution"]["Status"]
            match status["State"]:
                case "SUCCEEDED":
                    return execution
                case "FAILED" | "CANCELLED":
                    if status.get("AthenaError", {}).get("Retryable"):
                        return None
                    reason = status.get("StateChangeReason", status["State"])
                    raise VisibilityError(f"Athena cannot read {self.database}.{self.table}: {reason}")
            if time.monotonic() > deadline:
                self.client.stop_query_execution(QueryExecutionId=execution)
                return None
            time.sleep(QUERY_PAUSE_S)

    def read(self, execution: str) -> Iterator[list[str]]:
        """Yield the rows that an execution found, without the header, a page at a time."""
        pages = self.client.get_paginator("get_query_results").paginate(QueryExecutionId=execution)
        rows = (row["Data"] for page in pages for row in page["ResultSet"]["Rows"])
        for values in islice(rows, 1, None):
            yield [value.get("VarCharValue", "") for value in values]


def timeout_message(expected: Expected, visible: Expected, timeout_s: float) -> str:
    """Return the message of a timeout."""
    missing = [
        (key, visible[key, at], count) for (key, at), count in expected.items() if visible[key, at] < count
    ]
    files = "; ".join(
        f"{key or 'deletions'}: {seen:,} of {count:,}" for key, seen, count in missing[:REPORTED_FILES]
    )
    more = f"; and {len(missing) - REPORTED_FILES:,} more files" if len(missing) > REPORTED_FILES else ""
    return (
        f"{sum(visible.values()):,} of {sum(expected.values()):,} records are visible in the offline store "
        f"after {timeout_s / 60:g} minutes ({files}{more}). The others are written and will appear: "
        "start the workflow again, or raise the stack's OfflineStoreTimeoutMinutes"
    )


def literal(value: str) -> str:
    """Quote a text for SQL."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'
