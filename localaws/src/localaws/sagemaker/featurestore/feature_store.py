"""Assemble the feature store from its parts."""

from localaws.sagemaker.featurestore.feature_groups import FeatureGroups
from localaws.sagemaker.featurestore.feature_records import FeatureRecords
from localaws.sagemaker.featurestore.offline_store import OfflineStore
from localaws.sagemaker.featurestore.record_store import RecordStore
from localaws.sagemaker.platform.platform import Platform

DEFAULT_LAG = 1.0  # seconds


class FeatureStore:
    """Feature groups and their records."""

    def __init__(self, platform: Platform, offline_store_lag: float = DEFAULT_LAG) -> None:
        """Create an empty feature store.

        Args:
            platform: its working folder stores the records until the service stops.
            offline_store_lag: the delay in seconds before a record is written to the offline store.
        """
        folder = platform.new_base_dir("feature-store", "records")
        self._store = RecordStore(folder / "records.db")
        self._offline_store = OfflineStore(self._store, platform.sessions, folder, offline_store_lag)
        self.groups = FeatureGroups(platform, self._store, self._offline_store)
        self.records = FeatureRecords(self.groups, self._store, self._offline_store)

    def close(self) -> None:
        """Stop the offline store's writer and close the database."""
        self._offline_store.close()
        self._store.close()
