"""Read the deployed pipeline's definition and its Athena query."""

import json
import re
from collections.abc import Mapping
from typing import Any

from benchmarks.containers import ROOT

FILE = ROOT / "pipeline/rendered/definition.json"


def body(settings: Mapping[str, str]) -> str:
    """Return the definition with a single training; `settings` replace its `${...}` references."""
    return re.sub(r"\$\{([\w.:]+)\}", lambda found: settings[found[1]], FILE.read_text("utf-8"))


def dataset_query(table: str, as_of: str) -> str:
    """Return the Athena query of the step CreateDataset."""
    [step] = [
        step for step in json.loads(FILE.read_text("utf-8"))["Steps"] if step["Name"] == "CreateDataset"
    ]
    [query] = [
        item["DatasetDefinition"]["AthenaDatasetDefinition"]["QueryString"]
        for item in step["Arguments"]["ProcessingInputs"]
        if "DatasetDefinition" in item
    ]
    return resolve(query, {"OfflineStoreTable": table, "AsOf": as_of})


def resolve(value: Any, parameters: dict[str, str]) -> str:
    """Return a text of the definition with the parameters' values inserted."""
    if isinstance(value, str):
        return value
    if "Get" in value:
        return parameters[value["Get"].removeprefix("Parameters.")]
    join = value["Std:Join"]
    return str(join["On"]).join(resolve(part, parameters) for part in join["Values"])
