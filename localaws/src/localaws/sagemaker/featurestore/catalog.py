"""Create and update the Glue table of a feature group's offline store."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from localaws.sagemaker.api.shapes import Document

if TYPE_CHECKING:  # stubs, not installed with localaws
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import ColumnTypeDef, TableInputTypeDef

CATALOG = "AwsDataCatalog"
DATABASE = "sagemaker_featurestore"
# The columns that the offline store adds to the features, with their Hive types.
ADDED = {"write_time": "timestamp", "api_invocation_time": "timestamp", "is_deleted": "boolean"}
PARTITION_KEYS = ("year", "month", "day", "hour")

_HIVE_TYPES = {"String": "string", "Fractional": "double", "Integral": "bigint"}
_PARQUET = "org.apache.hadoop.hive.ql.io.parquet."


def table_name(group: str, created: int) -> str:
    """Return the default table name for a group's name and creation time (seconds since the epoch)."""
    return f"{group.replace('-', '_').lower()}_{created}"


def create_table(glue: GlueClient, config: Document, location: str, types: Mapping[str, str]) -> None:
    """Create the table, and its database if it does not exist.

    Args:
        glue: a Glue client.
        config: a DataCatalogConfig.
        location: the S3 URI of the partitions.
        types: the feature types by feature name.
    """
    # Another feature group or the customer may have created the database.
    with contextlib.suppress(glue.exceptions.AlreadyExistsException):
        glue.create_database(DatabaseInput={"Name": config["Database"]})
    glue.create_table(
        DatabaseName=config["Database"], TableInput=_table_input(config["TableName"], location, types)
    )


def update_table(glue: GlueClient, config: Document, location: str, types: Mapping[str, str]) -> None:
    """Replace the table's columns by those of the current features; arguments as for `create_table`."""
    glue.update_table(
        DatabaseName=config["Database"], TableInput=_table_input(config["TableName"], location, types)
    )


def _table_input(name: str, location: str, types: Mapping[str, str]) -> TableInputTypeDef:
    columns = {feature.lower(): _HIVE_TYPES[kind] for feature, kind in types.items()} | ADDED
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "parquet.compress": "SNAPPY"},
        "PartitionKeys": [_column(key, "string") for key in PARTITION_KEYS],
        "StorageDescriptor": {
            "Columns": [_column(column, kind) for column, kind in columns.items()],
            "Location": location,
            "InputFormat": f"{_PARQUET}MapredParquetInputFormat",
            "OutputFormat": f"{_PARQUET}MapredParquetOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": f"{_PARQUET}serde.ParquetHiveSerDe",
                "Parameters": {"serialization.format": "1"},
            },
        },
    }


def _column(name: str, kind: str) -> ColumnTypeDef:
    return {"Name": name, "Type": kind}
