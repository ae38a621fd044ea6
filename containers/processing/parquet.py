"""Rows of a Parquet file, read by DuckDB batch by batch."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from contract import Contract, Field
from csvfile import check_columns
from errors import FileError
from rows import Record

BATCH_ROWS = 500
# A row group stands in memory as a whole; DuckDB says so where one is larger than this.
MEMORY = "512MB"
INTEGERS = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")}
TYPES = {"VARCHAR": "string"} | dict.fromkeys((*INTEGERS, "INTEGER", "UINTEGER"), "integer")


def read_parquet(path: Path, contract: Contract) -> Iterator[Record]:
    """Yield each row's known columns.

    Raises:
        FileError: It is damaged, a bound is passed, or its columns are not what is needed.
    """
    with TemporaryDirectory() as folder:
        # DuckDB takes a path for a pattern, which an object's key must not be.
        link = Path(folder) / "rows.parquet"
        link.symlink_to(path.resolve())
        with duckdb.connect(
            config={"threads": 1, "memory_limit": MEMORY, "temp_directory": folder}
        ) as connection:
            try:
                yield from read(connection, str(link), contract)
            except duckdb.Error as error:
                reason = str(error).splitlines()[0].replace(str(link), "the file")
                raise FileError(f"not readable as Parquet: {reason}") from error


def read(connection: duckdb.DuckDBPyConnection, file: str, contract: Contract) -> Iterator[Record]:
    """Yield the rows within the contract's bounds."""
    counted = connection.execute("SELECT num_rows FROM parquet_file_metadata($1)", [file]).fetchone()
    if counted is None or counted[0] > contract.max_rows:
        raise FileError(f"more than {contract.max_rows:,} rows; split the file")
    columns = connection.execute("DESCRIBE SELECT * FROM read_parquet($1)", [file]).fetchall()
    kinds = {name: kind for name, kind, *_ in columns}
    check_columns(list(kinds), contract)
    fields = [field for name, field in contract.fields.items() if name in kinds]
    for field in fields:
        check_type(kinds[field.name], field)
    names = [field.name for field in fields]
    selected = ", ".join(f'"{name}"' for name in names)
    connection.execute(f"SELECT {selected} FROM read_parquet($1)", [file])  # noqa: S608 - the contract's names
    size = 0
    while rows := connection.fetchmany(BATCH_ROWS):
        size += sum(len(value) for row in rows for value in row if isinstance(value, str))
        if size > contract.max_bytes:
            raise FileError(f"more than {contract.max_bytes:,} characters; split the file")
        for row in rows:
            yield Record(None, dict(zip(names, row, strict=True)))


def check_type(kind: str, field: Field) -> None:
    """Refuse a column whose every value would be of the wrong type."""
    if TYPES.get(kind) not in field.types:
        raise FileError(f"the column {field.name} is {kind}; {' or '.join(sorted(field.types))} is needed")
