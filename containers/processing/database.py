"""DuckDB within bounds of memory that do not depend on the instance."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

Database = duckdb.DuckDBPyConnection

SETTINGS: dict[str, Any] = {
    "threads": 1,  # each holds a page of Parquet, which may be as large as a row group
    "enable_external_file_cache": False,  # no file is read so often that it were worth its memory
}


@contextmanager
def open_database(memory: str, spill: Path, *, in_order: bool) -> Iterator[Database]:
    """Open a new database.

    Args:
        memory: At most, such as 2GB; what does not fit goes to disk, save a row group that is read.
        spill: The folder for that.
        in_order: Whether rows keep their file's order.
    """
    settings = {"memory_limit": memory, "temp_directory": str(spill), "preserve_insertion_order": in_order}
    with duckdb.connect(config=SETTINGS | settings) as database:
        yield database
