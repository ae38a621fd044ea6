"""The offline store: the table in which Athena finds a feature group's records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


class NoOfflineStoreError(Exception):
    """The feature group has no table that can be queried."""


class OfflineStore(NamedTuple):
    """A table of the Glue catalog."""

    database: str
    table: str


def find_offline_store(sagemaker: SageMakerClient, feature_group: str) -> OfflineStore:
    """Return the table of a feature group.

    Raises:
        NoOfflineStoreError: it has none.
    """
    found = sagemaker.describe_feature_group(FeatureGroupName=feature_group)
    catalog = found.get("OfflineStoreConfig", {}).get("DataCatalogConfig")
    if catalog is None:
        raise NoOfflineStoreError(
            f"Feature group {feature_group} is {found.get('FeatureGroupStatus')} and has no "
            "OfflineStoreConfig.DataCatalogConfig: without its table no dataset can be made. Deploy the "
            "stack again with an offline store and DisableGlueTableCreation false."
        )
    return OfflineStore(catalog["Database"], catalog["TableName"])
