"""Parquet files of an offline store: one for each hour of event time."""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from localaws.sagemaker.featurestore import event_times
from localaws.sagemaker.featurestore.catalog import PARTITION_KEYS
from localaws.sagemaker.featurestore.record_store import Pending

HOUR = 3_600_000_000  # microseconds
LINE_BYTES = 16 << 20  # what DuckDB reads of one line unless it is told more
CHARACTER_BYTES = 4  # of UTF-8, at most

_DUCKDB_TYPES = {"String": "VARCHAR", "Fractional": "DOUBLE", "Integral": "BIGINT"}


@dataclass(frozen=True)
class Batch:
    """Rows that go to the offline store together.

    Attributes:
        path: a file with a JSON object a line.
        last: the sequence of the last row.
        longest: the longest line, in characters.
        latest: the latest event time of each hour, by the hour's first microsecond.
    """

    path: Path
    last: int
    longest: int
    latest: Mapping[int, int]


@dataclass(frozen=True)
class File:
    """A Parquet file to upload.

    Attributes:
        path: where it lies.
        name: below the offline store's folder: its partition's folders, and a name of its own.
        hour: its partition's first microsecond.
    """

    path: Path
    name: str
    hour: int


def collect(rows: Iterable[Pending], folder: Path) -> Batch | None:
    """The rows as a file in the folder; None when there are none."""
    path, last, longest, latest = folder / "rows.json", 0, 0, dict[int, int]()
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            head = {"event_time": row.event_time, "invoked": row.invoked, "is_deleted": row.deleted}
            file.write(f'{json.dumps(head)[:-1]}, "features": {row.content}}}\n')
            hour = row.event_time - row.event_time % HOUR
            latest[hour] = max(row.event_time, latest.get(hour, row.event_time))
            last, longest = row.sequence, max(longest, len(row.content))
    return Batch(path, last, longest, latest) if latest else None


def engine() -> duckdb.DuckDBPyConnection:
    """What makes the files: to be kept, since a new one takes longer than a file."""
    return duckdb.connect(config={"threads": 1})


def convert(
    connection: duckdb.DuckDBPyConnection,
    batch: Batch,
    types: Mapping[str, str],
    write_time: int,
    folder: Path,
) -> Iterator[File]:
    """The batch's Parquet files, written into the folder.

    Args:
        connection: an engine's.
        batch: the rows.
        types: the features' types by their names.
        write_time: in microseconds since the epoch.
        folder: an empty one.
    """
    # As many as the rows have hours: closed early, a partition would get a second file.
    connection.execute(f"SET partitioned_write_max_open_files = {len(batch.latest) + 1}")
    connection.execute(_copy(batch, types, write_time, folder))
    for hour, latest in batch.latest.items():
        partition = event_times.partition(hour)
        (path,) = (folder / partition).iterdir()
        yield File(path, f"{partition}/{event_times.stamp(latest)}_{uuid.uuid4().hex[:16]}.parquet", hour)


def _copy(batch: Batch, types: Mapping[str, str], write_time: int, folder: Path) -> str:
    features = ", ".join(f"{_quoted(name)} VARCHAR" for name in types)
    columns = [
        f"CAST(features.{_quoted(name)} AS {_DUCKDB_TYPES[kind]}) AS {_quoted(name)}"
        for name, kind in types.items()
    ]
    keys = [f"strftime(make_timestamp(event_time), '%{code}')" for code in "YmdH"]
    return f"""
        COPY (
            SELECT {", ".join(columns)},
                make_timestamp({write_time}) AS write_time,
                make_timestamp(invoked) AS api_invocation_time,
                is_deleted,
                {", ".join(f"{key} AS {name}" for name, key in zip(PARTITION_KEYS, keys, strict=True))}
            FROM read_json({_text(batch.path)}, format = 'newline_delimited',
                maximum_object_size = {max(LINE_BYTES, CHARACTER_BYTES * batch.longest)},
                columns = {{event_time: 'BIGINT', invoked: 'BIGINT', is_deleted: 'BOOLEAN',
                    features: {_text(f"STRUCT({features})")}}})
        ) TO {_text(folder)} (FORMAT parquet, COMPRESSION snappy, PARTITION_BY ({", ".join(PARTITION_KEYS)}),
            OVERWRITE_OR_IGNORE)
    """  # noqa: S608


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
