"""Use DuckDB within memory bounds that depend neither on the instance nor on the file's number of rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

Database = duckdb.DuckDBPyConnection

FETCHED_ROWS = 500  # fetched into Python at a time
SETTINGS: dict[str, Any] = {
    "threads": 1,  # each thread holds a Parquet page, which may be as large as a row group
    "enable_external_file_cache": False,  # no file is read often enough to be worth the memory
}
# Prefetching does not help with local files, and it holds the compressed row group too. The setting exists
# only once the Parquet extension is loaded.
UNPREFETCHED = "SET disable_parquet_prefetching = true"
GROUPS = "SELECT row_group_num_rows FROM parquet_metadata($1) WHERE column_id = 0 ORDER BY row_group_id"
KINDS = "SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet($1)) WHERE column_name IN $2"
# With an explicit schema, file_row_number is always DuckDB's own column, whatever columns the file has.
ROWS = "FROM read_parquet($1, schema = $2) WHERE file_row_number BETWEEN $3 AND $4"


@contextmanager
def open_database(memory: str, spill: Path) -> Iterator[Database]:
    """Open a new database.

    Args:
        memory: The limit, such as 2GB; more is spilled to disk, except a row group that is being read.
        spill: The folder for spilled data.
    """
    settings = {"memory_limit": memory, "temp_directory": str(spill)}
    with duckdb.connect(config=SETTINGS | settings) as database:
        database.execute(UNPREFETCHED)
        yield database


def read_rows(
    database: Database, file: str, names: Sequence[str], columns: str
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield batches of a Parquet file's rows, in the file's order.

    Each row group is a separate query: one query over all groups takes more memory with every group.

    Args:
        database: An open database.
        file: The path of the file, or a glob pattern that matches only it.
        names: The columns to read.
        columns: The SQL expressions to select from them.
    """
    schema = schema_of(database.execute(KINDS, [file, names]).fetchall())
    first = 0
    for (count,) in database.execute(GROUPS, [file]).fetchall():
        database.execute(f"SELECT {columns} {ROWS}", [file, schema, first, first + count - 1])
        while rows := database.fetchmany(FETCHED_ROWS):
            yield rows
        first += count


def schema_of(kinds: Sequence[tuple[str, str]]) -> dict[str, list[Any]]:
    """Return the schema parameter of read_parquet: a DuckDB MAP, as Python represents it."""
    columns = [{"name": name, "type": kind, "default_value": None} for name, kind in kinds]
    return {"key": [name for name, _ in kinds], "value": columns}
