"""DuckDB within bounds of memory that depend neither on the instance nor on a file's rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

Database = duckdb.DuckDBPyConnection

FETCHED_ROWS = 500  # in Python at a time
SETTINGS: dict[str, Any] = {
    "threads": 1,  # each holds a page of Parquet, which may be as large as a row group
    "enable_external_file_cache": False,  # no file is read so often that it were worth its memory
}
# A local file needs none, and it holds a row group packed as well; known only once Parquet is loaded.
UNPREFETCHED = "SET disable_parquet_prefetching = true"
GROUPS = "SELECT row_group_num_rows FROM parquet_metadata($1) WHERE column_id = 0 ORDER BY row_group_id"
KINDS = "SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet($1)) WHERE column_name IN $2"
# Of a schema that has no such column file_row_number is DuckDB's own, whatever the file's columns are called.
ROWS = "FROM read_parquet($1, schema = $2) WHERE file_row_number BETWEEN $3 AND $4"


@contextmanager
def open_database(memory: str, spill: Path) -> Iterator[Database]:
    """Open a new database.

    Args:
        memory: At most, such as 2GB; what does not fit goes to disk, save a row group that is read.
        spill: The folder for that.
    """
    settings = {"memory_limit": memory, "temp_directory": str(spill)}
    with duckdb.connect(config=SETTINGS | settings) as database:
        database.execute(UNPREFETCHED)
        yield database


def read_rows(
    database: Database, file: str, names: Sequence[str], columns: str
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield some rows of a Parquet file at a time, in its order.

    Each row group is a query of its own: a single one over all of them takes more memory with every group.

    Args:
        database: An open one.
        file: The file's path, or a pattern that it alone matches.
        names: The columns that are read.
        columns: What to select of them, in SQL.
    """
    schema = _schema(database.execute(KINDS, [file, names]).fetchall())
    first = 0
    for (count,) in database.execute(GROUPS, [file]).fetchall():
        database.execute(f"SELECT {columns} {ROWS}", [file, schema, first, first + count - 1])
        while rows := database.fetchmany(FETCHED_ROWS):
            yield rows
        first += count


def _schema(kinds: Sequence[tuple[str, str]]) -> dict[str, list[Any]]:
    """Columns by name, as Python writes DuckDB's MAP."""
    columns = [{"name": name, "type": kind, "default_value": None} for name, kind in kinds]
    return {"key": [name for name, _ in kinds], "value": columns}
