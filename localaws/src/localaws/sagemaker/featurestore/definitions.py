"""What a feature group may be asked to be."""

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
    """Make sure that a CreateFeatureGroup asks for a group that can be here.

    Raises:
        ValidationException: it does not.
    """
    for path, values in REFUSED_VALUES.items():
        refuse_values(request, path, *values)
    online = request.get("OnlineStoreConfig", {}).get("EnableOnlineStore", False)
    if not online and "OfflineStoreConfig" not in request:
        raise ValidationException(
            "A FeatureGroup needs an OnlineStoreConfig that is enabled, or an OfflineStoreConfig"
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
            f"The event time {event_time} is Integral: it has to be String or Fractional"
        )


def check_definitions(definitions: list[Document]) -> None:
    """Make sure that a group can have these features.

    Raises:
        ValidationException: it cannot.
    """
    names = [feature["FeatureName"].lower() for feature in definitions]
    counts = Counter(names)
    if len(names) > MAX_FEATURES:
        raise ValidationException(f"A FeatureGroup has at most {MAX_FEATURES} features, not {len(names)}")
    for feature, name in zip(definitions, names, strict=True):
        if name in catalog.ADDED:
            raise ValidationException(
                f"The feature name {feature['FeatureName']} is reserved, like {', '.join(catalog.ADDED)}"
            )
        if name in catalog.PARTITION_KEYS:
            raise NotSupportedLocally(f"The feature name {feature['FeatureName']}, a partition key's,")
        if counts[name] > 1:
            raise ValidationException(f"The feature name {feature['FeatureName']} is there more than once")
