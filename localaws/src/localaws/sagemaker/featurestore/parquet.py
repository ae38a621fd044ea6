"""Convert rows to the Parquet files of an offline store, one file per hour of event time."""

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
LINE_BYTES = 16 << 20  # DuckDB's default maximum for one JSON object
CHARACTER_BYTES = 4  # the maximum in UTF-8

_DUCKDB_TYPES = {"String": "VARCHAR", "Fractional": "DOUBLE", "Integral": "BIGINT"}


@dataclass(frozen=True)
class Batch:
    """Rows that are written to the offline store together.

    Attributes:
        path: a file with one JSON object per line.
        last: the sequence number of the last row.
        longest: the length of the longest record, in characters.
        latest: the latest event time per hour; the keys are the hours' first microseconds.
    """

    path: Path
    last: int
    longest: int
    latest: Mapping[int, int]


@dataclass(frozen=True)
class File:
    """A Parquet file to upload.

    Attributes:
        path: the local file.
        name: the key relative to the offline store's folder: the partition's folders and a file name.
        hour: the first microsecond of its partition.
    """

    path: Path
    name: str
    hour: int


def collect(rows: Iterable[Pending], folder: Path) -> Batch | None:
    """Write the rows to a JSON Lines file in the folder; return None if there are no rows."""
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
    """Create the DuckDB connection for `convert`; reuse it, since creating one is slower than a file."""
    return duckdb.connect(config={"threads": 1})


def convert(
    connection: duckdb.DuckDBPyConnection,
    batch: Batch,
    types: Mapping[str, str],
    write_time: int,
    folder: Path,
) -> Iterator[File]:
    """Write the batch's Parquet files to the folder and yield them.

    Args:
        connection: the connection of `engine`.
        batch: the rows.
        types: the feature types by feature name.
        write_time: in microseconds since the epoch.
        folder: an empty folder.
    """
    # One open file per hour: with fewer, DuckDB closes a partition early and writes a second file for it.
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
