"""Validate the definition of a feature group."""

from collections import Counter

from localaws.sagemaker.api.errors import NotSupportedLocally, ValidationException
from localaws.sagemaker.api.members import refuse_values
from localaws.sagemaker.api.shapes import Document
from localaws.sagemaker.featurestore import catalog

REFUSED_VALUES = {
    "OnlineStoreConfig.StorageType": ("Standard_V2", "InMemory"),
    "OfflineStoreConfig.TableFormat": ("Iceberg",),
    "ThroughputConfig.ThroughputMode": ("Provisioned",),
}
MAX_FEATURES = 2500


def check(request: Document) -> None:
    """Validate a CreateFeatureGroup request.

    Raises:
        ValidationException: the request is invalid or needs a feature that localaws does not support.
    """
    for path, values in REFUSED_VALUES.items():
        refuse_values(request, path, *values)
    online = request.get("OnlineStoreConfig", {}).get("EnableOnlineStore", False)
    if not online and "OfflineStoreConfig" not in request:
        raise ValidationException(
            "A FeatureGroup needs an OnlineStoreConfig with EnableOnlineStore, or an OfflineStoreConfig"
        )
    if "OfflineStoreConfig" in request and "RoleArn" not in request:
        raise ValidationException("A FeatureGroup with an OfflineStoreConfig needs a RoleArn")
    check_definitions(request["FeatureDefinitions"])
    types = {feature["FeatureName"]: feature["FeatureType"] for feature in request["FeatureDefinitions"]}
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if request[member] not in types:
            raise ValidationException(f"{member} {request[member]} is not among the FeatureDefinitions")
    event_time = request["EventTimeFeatureName"]
    if types[event_time] == "Integral":
        raise ValidationException(
            f"The event time feature {event_time} is Integral: it must be String or Fractional"
        )


def check_definitions(definitions: list[Document]) -> None:
    """Validate the features of a group.

    Raises:
        ValidationException: there are too many features, or a name is reserved or duplicate.
    """
    names = [feature["FeatureName"].lower() for feature in definitions]
    counts = Counter(names)
    if len(names) > MAX_FEATURES:
        raise ValidationException(f"A FeatureGroup has at most {MAX_FEATURES} features, not {len(names)}")
    for feature, name in zip(definitions, names, strict=True):
        if name in catalog.ADDED:
            raise ValidationException(
                f"The feature name {feature['FeatureName']} is reserved. The reserved names are "
                f"{', '.join(catalog.ADDED)}"
            )
        if name in catalog.PARTITION_KEYS:
            raise NotSupportedLocally(
                f"The feature name {feature['FeatureName']}, which is also the name of a partition key,"
            )
        if counts[name] > 1:
            raise ValidationException(f"The feature name {feature['FeatureName']} is defined more than once")
