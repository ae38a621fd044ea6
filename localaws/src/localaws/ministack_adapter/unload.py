"""Athena's UNLOAD: write a query's rows to files under an S3 prefix with DuckDB's COPY."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import duckdb

from localaws.sagemaker.platform.storage import TRANSFER, S3Uri

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_s3 import S3Client

MEMORY = "1GB"  # per query; the rest spills to files
FILE_SIZE = "64MB"  # approximate
ROW_GROUP_SIZE = "16MB"  # of a Parquet file; each thread holds one row group in memory
PARQUET_CODECS = MappingProxyType(
    {"GZIP": "gzip", "SNAPPY": "snappy", "ZSTD": "zstd", "NONE": "uncompressed"}
)
TEXT_CODECS = MappingProxyType({"GZIP": "gzip", "ZSTD": "zstd", "NONE": "none"})
# A format's COPY options and codecs; GZIP is Athena's default for all of them.
FORMATS = MappingProxyType(
    {
        "PARQUET": (f"FORMAT parquet, ROW_GROUP_SIZE_BYTES '{ROW_GROUP_SIZE}'", PARQUET_CODECS),
        "JSON": ("FORMAT json", TEXT_CODECS),
        "TEXTFILE": (
            "FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '', NULLSTR '\\N'",
            TEXT_CODECS,
        ),
    }
)
SUFFIXES = MappingProxyType({"gzip": ".gz", "zstd": ".zst", "none": ""})  # of text files; Parquet has none
DEFAULT_CODEC = "GZIP"

_STATEMENT = re.compile(
    r"\s*UNLOAD\s*\((?P<select>.*)\)\s*TO\s*'(?P<target>[^']*)'\s*WITH\s*\((?P<properties>.*?)\)\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_PROPERTIES = re.compile(r"\s*(?:(\w+)\s*=\s*'([^']*)'\s*(?:,|$))")


class UnloadError(Exception):
    """The statement cannot run; the message becomes the query's StateChangeReason."""


@dataclass(frozen=True)
class Unload:
    """An UNLOAD statement.

    Attributes:
        select: the query between the parentheses.
        target: the prefix of the files; it must have no objects.
        file_format: a key of FORMATS.
        codec: DuckDB's name of one of the format's codecs.
    """

    select: str
    target: S3Uri
    file_format: str
    codec: str

    @classmethod
    def parse(cls, statement: str) -> Unload:
        """Parse a statement.

        Raises:
            UnloadError: the statement is malformed or has an unsupported option.
        """
        found = _STATEMENT.fullmatch(statement)
        if found is None:
            raise UnloadError("SYNTAX_ERROR: expected UNLOAD (SELECT …) TO 's3://…' WITH (format = '…')")
        properties = _properties(found["properties"])
        file_format = properties.pop("format", "").upper()
        if file_format not in FORMATS:
            raise UnloadError(
                f"NOT_SUPPORTED: UNLOAD's format {file_format!r} is not supported locally, "
                f"only {', '.join(FORMATS)}"
            )
        codecs = FORMATS[file_format][1]
        compression = properties.pop("compression", DEFAULT_CODEC).upper()
        if compression not in codecs:
            raise UnloadError(
                f"NOT_SUPPORTED: the compression {compression!r} of {file_format} is not supported locally, "
                f"only {', '.join(codecs)}"
            )
        if properties:
            raise UnloadError(
                f"NOT_SUPPORTED: UNLOAD's {', '.join(properties)} is not supported locally, "
                "only format and compression"
            )
        target = found["target"] if found["target"].endswith("/") else f"{found['target']}/"
        return cls(found["select"], S3Uri.parse(target), file_format, codecs[compression])

    def run(
        self,
        connection: duckdb.DuckDBPyConnection,
        rows: str,
        folder: Path,
        s3: S3Client,
        raise_if_stopped: Callable[[], None],
    ) -> list[S3Uri]:
        """Write the rows to files, upload them and return their URIs.

        Args:
            connection: a connection to an empty database; its memory is limited to MEMORY.
            rows: the query in DuckDB's SQL.
            folder: an empty folder for the files and for DuckDB's temporary files.
            s3: a client with the credentials of the statement's caller.
            raise_if_stopped: called between files; its exception ends the upload.

        Raises:
            UnloadError: the target is not empty.
        """
        if s3.list_objects_v2(Bucket=self.target.bucket, Prefix=self.target.key, MaxKeys=1)["KeyCount"]:
            raise UnloadError(
                f"HIVE_PATH_ALREADY_EXISTS: the target {self.target} of UNLOAD already has objects: "
                "use an empty prefix"
            )
        files = self._write(connection, rows, folder)
        name = f"{datetime.now(UTC):%Y%m%d_%H%M%S}_00000_{uuid.uuid4().hex[:5]}"
        written = []
        for path in files:
            raise_if_stopped()
            uri = self.target / f"{name}_{uuid.uuid4()}{self._suffix}"
            s3.upload_file(str(path), uri.bucket, uri.key, Config=TRANSFER)
            written.append(uri)
        return written

    @property
    def _suffix(self) -> str:
        return "" if self.file_format == "PARQUET" else SUFFIXES[self.codec]

    def _write(self, connection: duckdb.DuckDBPyConnection, rows: str, folder: Path) -> list[Path]:
        output = folder / "output"
        for setting, value in (
            ("memory_limit", f"'{MEMORY}'"),
            ("temp_directory", f"'{folder / 'spilled'}'"),
            ("preserve_insertion_order", "false"),
        ):
            connection.execute(f"SET {setting} = {value}")
        options = (
            f"{FORMATS[self.file_format][0]}, COMPRESSION {self.codec}, "
            f"PER_THREAD_OUTPUT true, FILE_SIZE_BYTES '{FILE_SIZE}'"
        )
        copied = connection.execute(f"COPY ({rows}) TO '{output}' ({options})").fetchone()
        return sorted(output.iterdir()) if copied and copied[0] else []


def is_unload(statement: str) -> bool:
    """Return whether a statement starts with UNLOAD."""
    return re.match(r"\s*UNLOAD\b", statement, re.IGNORECASE) is not None


def _properties(text: str) -> dict[str, str]:
    properties: dict[str, str] = {}
    position = 0
    while text[position:].strip():
        found = _PROPERTIES.match(text, position)
        if found is None:
            raise UnloadError(f"SYNTAX_ERROR: expected name = 'value' in UNLOAD's WITH ({text})")
        properties[found[1].lower()] = found[2]
        position = found.end()
    return properties
