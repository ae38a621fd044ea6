"""Read a Parquet file with DuckDB, in batches."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from processing.database import Database, open_database, read_rows
from processing.errors import FileError
from processing.ingestion.contract import Contract, Field
from processing.ingestion.formats.csv_file import check_columns
from processing.ingestion.rows import Record

MEMORY = "2GB"  # a row group is read whole, and some tools write a million rows per group
INTEGERS = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")}
TYPES = {"VARCHAR": "string"} | dict.fromkeys((*INTEGERS, "INTEGER", "UINTEGER"), "integer")


def read_parquet(path: Path, contract: Contract) -> Iterator[Record]:
    """Yield the contract's columns of each row.

    Raises:
        FileError: The file is damaged, exceeds a limit, or lacks a column.
    """
    with TemporaryDirectory() as folder:
        # DuckDB treats a path as a glob pattern, and an object's key may contain wildcards.
        link = Path(folder) / "rows.parquet"
        link.symlink_to(path.resolve())
        with open_database(MEMORY, Path(folder)) as database:
            try:
                yield from read(database, str(link), contract)
            except duckdb.OutOfMemoryException as error:
                raise FileError(
                    f"a row group needs more than {MEMORY} of memory; write smaller ones"
                ) from error
            except duckdb.Error as error:
                reason = str(error).splitlines()[0].replace(str(link), "the file")
                raise FileError(f"not readable as Parquet: {reason}") from error


def read(database: Database, file: str, contract: Contract) -> Iterator[Record]:
    """Yield the rows, within the contract's limits."""
    counted = database.execute("SELECT num_rows FROM parquet_file_metadata($1)", [file]).fetchone()
    if counted is None or counted[0] > contract.max_rows:
        raise FileError(f"more than {contract.max_rows:,} rows; split the file")
    columns = database.execute("DESCRIBE SELECT * FROM read_parquet($1)", [file]).fetchall()
    kinds = {name: kind for name, kind, *_ in columns}
    check_columns(list(kinds), contract)
    fields = [field for name, field in contract.fields.items() if name in kinds]
    for field in fields:
        check_type(kinds[field.name], field)
    names = [field.name for field in fields]
    selected = ", ".join(f'"{name}"' for name in names)
    size = 0
    for rows in read_rows(database, file, names, selected):
        size += sum(len(value) for row in rows for value in row if isinstance(value, str))
        if size > contract.max_bytes:
            raise FileError(f"more than {contract.max_bytes:,} characters; split the file")
        for row in rows:
            yield Record(None, dict(zip(names, row, strict=True)))


def check_type(kind: str, field: Field) -> None:
    """Refuse a column of a type that the contract does not allow."""
    if TYPES.get(kind) not in field.types:
        raise FileError(f"the column {field.name} is {kind}; {' or '.join(sorted(field.types))} is needed")
