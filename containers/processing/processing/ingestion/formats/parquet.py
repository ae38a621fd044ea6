"""Read a Parquet file with DuckDB, in batches."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from processing.database import FETCHED_ROWS, GROUPS, KINDS, Database, open_database, schema_of
from processing.errors import FileError
from processing.ingestion.contract import Contract, Field
from processing.ingestion.formats.columns import find_columns
from processing.ingestion.rows import Defect, Record, excerpt

MEMORY = "2GB"  # a row group is read whole, and some tools write a million rows per group
INTEGERS = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")}
TYPES = (
    dict.fromkeys(("VARCHAR", "BLOB", "UUID"), "string")
    | dict.fromkeys((*INTEGERS, "INTEGER", "UINTEGER"), "integer")
    | dict.fromkeys(("DECIMAL", "FLOAT", "DOUBLE"), "integer")  # if the value is whole
)
# With an explicit schema, file_row_number is always DuckDB's own column, whatever columns the file has.
ROWS = "FROM read_parquet($1, schema = $2, utf8_validation = $5) WHERE file_row_number BETWEEN $3 AND $4"
COUNT = "SELECT num_rows FROM parquet_file_metadata($1)"
# Of names that differ in case only, DuckDB changes all but the first.
DESCRIBE = "DESCRIBE FROM read_parquet($1)"
SCHEMA = "SELECT name, num_children FROM parquet_schema($1)"
METADATA = "SELECT value FROM parquet_kv_metadata($1) WHERE decode(key) = 'huggingface'"
NOT_UTF8 = "Invalid string encoding"
ANSWER = "answer"  # a column of Prodigy's


def read_parquet(path: Path, contract: Contract) -> Iterator[Record | Defect]:
    """Yield the contract's columns of each row, and the defects of rows that are not UTF-8.

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


def read(database: Database, file: str, contract: Contract) -> Iterator[Record | Defect]:
    """Yield the rows, within the contract's limits."""
    counted = database.execute(COUNT, [file]).fetchone()
    if counted is None or counted[0] > contract.max_rows:
        raise FileError(f"more than {contract.max_rows:,} rows; split the file")
    columns = choose_columns(database, file, contract)
    classes = class_names(database, file, columns)
    fields = list(columns)
    size = 0
    for rows in batches(database, file, list(columns.values())):
        size += sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))
        if size > contract.max_bytes:
            raise FileError(f"more than {contract.max_bytes:,} characters; split the file")
        for row in rows:
            values = dict(zip(fields, row, strict=True))
            bad = next((name for name, value in values.items() if isinstance(value, NotText)), None)
            if bad is not None:
                yield Defect(None, bad, f"{bad} is not UTF-8", excerpt(values[bad]))
                continue
            for name, value in values.items():
                if isinstance(value, bytes):
                    values[name] = value.decode("utf-8", "surrogateescape")
            if classes and isinstance(number := values.get("label"), int):
                values["label"] = classes[number] if 0 <= number < len(classes) else None
            yield Record(None, values)


class NotText(str):
    """A text whose invalid bytes are replaced."""

    __slots__ = ()


def choose_columns(database: Database, file: str, contract: Contract) -> dict[str, str]:
    """Return the column of each field; a column that has only nulls is as if absent.

    Raises:
        FileError: A column is missing, repeated, or of another type than the contract allows.
    """
    described = database.execute(DESCRIBE, [file]).fetchall()
    kinds = {name: kind for name, kind, *_ in described}
    named = zip(top_level_names(database.execute(SCHEMA, [file]).fetchall()), described, strict=True)
    names = [(name, unique) for name, (unique, kind, *_) in named if kind != '"NULL"']
    columns = {}
    for field, at in find_columns([name for name, _ in names], contract).items():
        name, columns[field] = names[at]
        if name != columns[field]:
            raise FileError(repeated_name(name, kinds))
    for name, column in list(columns.items()):
        rules = contract.fields[name]
        if is_allowed(kinds[column], rules):
            continue
        if not rules.required and all_null(database, file, column):
            del columns[name]
            continue
        needed = " or ".join(sorted(rules.types))
        raise FileError(f"the column {name} is {kinds[column]}; {needed} is needed")
    if kinds.get(ANSWER) == "VARCHAR":
        columns.setdefault(ANSWER, ANSWER)
    return columns


def repeated_name(name: str, names: Iterable[str]) -> str:
    """Return the reason for a column that DuckDB, which ignores case, cannot find by its name."""
    other = next((other for other in names if other.casefold() == name.casefold()), name)
    return f"the column {name} follows another of the same name but for case, '{excerpt(other)}'; rename one"


def top_level_names(schema: Sequence[tuple[str, int | None]]) -> list[str]:
    """Return the names of the columns: the children of the schema's root, which lists all levels in one."""

    def skip(at: int) -> int:
        end = at + 1
        for _ in range(schema[at][1] or 0):
            end = skip(end)
        return end

    names, at = [], 1
    while at < len(schema):
        names.append(schema[at][0])
        at = skip(at)
    return names


def is_allowed(kind: str, field: Field) -> bool:
    """Return whether the contract allows values of a column's type."""
    if kind == "BOOLEAN":
        return field.name == "label" and "string" in field.types
    if kind.startswith("ENUM("):
        kind = "VARCHAR"
    return TYPES.get(re.sub(r"\(.*", "", kind)) in field.types and not kind.endswith("]")


def all_null(database: Database, file: str, column: str) -> bool:
    """Return whether a column has no value; NaN is none."""
    name = quoted(column)
    found = database.execute(
        f"SELECT 1 FROM read_parquet($1) WHERE {name} IS NOT NULL AND {name}::VARCHAR <> 'nan' LIMIT 1",  # noqa: S608
        [file],
    )
    return found.fetchone() is None


def class_names(database: Database, file: str, columns: Mapping[str, str]) -> list[str]:
    """Return the names of the labels' numbers, which Hugging Face's `datasets` writes as metadata."""
    found = database.execute(METADATA, [file]).fetchone()
    if found is None:
        return []
    try:
        feature = json.loads(found[0])["info"]["features"][columns["label"]]
        names = feature["names"] if feature["_type"] == "ClassLabel" else []
    except (ValueError, KeyError, TypeError):
        return []
    return [str(name) for name in names]


def batches(database: Database, file: str, names: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield batches of a file's rows, in its order; each row group is a separate query.

    One query over all groups takes more memory with every group.
    """
    schema = schema_of(database.execute(KINDS, [file, names]).fetchall())
    selected = ", ".join(map(quoted, names))
    first = 0
    for (count,) in database.execute(GROUPS, [file]).fetchall():
        query, values = f"SELECT {selected} {ROWS}", [file, schema, first, first + count - 1]
        yielded = 0
        try:
            database.execute(query, [*values, "strict"])
            while rows := database.fetchmany(FETCHED_ROWS):
                yield rows
                yielded += len(rows)
        except duckdb.InvalidInputException as error:
            if NOT_UTF8 not in str(error):
                raise
            yield from repaired(database, query, values, yielded)
        first += count


def repaired(
    database: Database, query: str, values: Sequence[object], skipped: int
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield a row group's rows from a position, with the values that are not UTF-8 as NotText.

    DuckDB gives such a value with its bad bytes replaced, or without them: where both differ, there are some.
    """
    with database.cursor() as replacing, database.cursor() as ignoring:
        replacing.execute(query, [*values, "replace"])
        ignoring.execute(query, [*values, "ignore"])
        while rows := replacing.fetchmany(FETCHED_ROWS):
            others = ignoring.fetchmany(FETCHED_ROWS)
            both = list(zip(rows, others, strict=True))[skipped:]
            skipped = max(skipped - len(rows), 0)
            yield [tuple(map(compare, row, other)) for row, other in both]


def compare(replaced: object, ignored: object) -> object:
    """Return a value, marked if its bad bytes were replaced."""
    different = isinstance(replaced, str) and replaced != ignored
    return NotText(replaced) if different else replaced


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'
