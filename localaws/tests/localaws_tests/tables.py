"""Tables of a Glue database over Parquet objects, as a feature group's offline store leaves them."""

from pathlib import Path
from typing import Any

import duckdb

from localaws.testing import Laptop

TYPES = {"VARCHAR": "string", "BOOLEAN": "boolean", "TIMESTAMP": "timestamp", "BIGINT": "bigint"}
RECORDS = """
    SELECT record_id, event_time, text, label, split, source, write_time::TIMESTAMP AS write_time,
           write_time::TIMESTAMP AS api_invocation_time, is_deleted
    FROM (VALUES
        ('a', '2026-01-01T00:00:00.000Z', 'old', 'x', 'train', 'raw/1.csv', '2026-01-01', false),
        ('a', '2026-01-02T00:00:00.000Z', 'new', 'y', NULL, 'raw/2.csv', '2026-01-02', false),
        ('b', '2026-01-01T00:00:00.000Z', 'gone', 'x', 'test', 'raw/1.csv', '2026-01-01', false),
        ('b', '2026-01-02T00:00:00.000Z', NULL, NULL, NULL, NULL, '2026-01-02', true),
        ('c', '2026-01-01T00:00:00.000Z', 'it''s "ü"', 'x', 'test', 'raw/1.csv', '2026-01-01', false),
        ('d', '2026-01-03T00:00:00.000Z', 'later', 'x', 'test', 'raw/3.csv', '2026-01-03', false)
    ) AS record(record_id, event_time, text, label, split, source, write_time, is_deleted)
"""
LATEST = """
    SELECT record_id, event_time, text, label, split, source FROM (
        SELECT *, row_number() OVER (
            PARTITION BY record_id ORDER BY event_time DESC, api_invocation_time DESC, write_time DESC
        ) AS version FROM "{table}" WHERE event_time <= '2026-01-02T00:00:00.000Z'
    ) WHERE version = 1 AND NOT is_deleted
"""


def put_table(laptop: Laptop, folder: Path, bucket: str, name: str, rows: str = RECORDS) -> None:
    """Make the table `name` of the database "records" of a DuckDB query's rows, in one object."""
    path = folder / f"{name}.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")
        found = connection.execute(f"DESCRIBE ({rows})").fetchall()
    prefix = f"tables/{name}/data/"
    laptop.client("s3").upload_file(str(path), bucket, f"{prefix}year=2026/month=01/{path.name}")
    glue = laptop.client("glue")
    if "records" not in [database["Name"] for database in glue.get_databases()["DatabaseList"]]:
        glue.create_database(DatabaseInput={"Name": "records"})
    table: dict[str, Any] = {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "parquet"},
        "PartitionKeys": [{"Name": "year", "Type": "string"}, {"Name": "month", "Type": "string"}],
        "StorageDescriptor": {
            "Columns": [{"Name": column[0], "Type": TYPES[column[1]]} for column in found],
            "Location": f"s3://{bucket}/{prefix}",
        },
    }
    glue.create_table(DatabaseName="records", TableInput=table)
