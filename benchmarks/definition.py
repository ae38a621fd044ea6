"""The pipeline's definition, as it is deployed, and what it asks Athena for."""

import json
from typing import Any

from benchmarks.containers import ROOT

FILE = ROOT / "pipeline/rendered/definition.json"


def body() -> str:
    """The definition that trains once."""
    return FILE.read_text("utf-8")


def dataset_query(table: str, as_of: str) -> str:
    """The query that CreateDataset has its records by."""
    [step] = [step for step in json.loads(body())["Steps"] if step["Name"] == "CreateDataset"]
    [query] = [
        item["DatasetDefinition"]["AthenaDatasetDefinition"]["QueryString"]
        for item in step["Arguments"]["ProcessingInputs"]
        if "DatasetDefinition" in item
    ]
    return resolve(query, {"OfflineStoreTable": table, "AsOf": as_of})


def resolve(value: Any, parameters: dict[str, str]) -> str:
    """A text of the definition's, with its parameters' values."""
    if isinstance(value, str):
        return value
    if "Get" in value:
        return parameters[value["Get"].removeprefix("Parameters.")]
    join = value["Std:Join"]
    return str(join["On"]).join(resolve(part, parameters) for part in join["Values"])
