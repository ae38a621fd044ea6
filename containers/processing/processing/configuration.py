"""Read the job's own configuration, which SageMaker writes below `config`.

The folder is absent if the job is run by hand.
"""

import json
from pathlib import Path
from typing import Any

FIRST_HOST = "algo-1"


def host(base: Path) -> str:
    """Return the name of this instance, such as algo-1."""
    return str(read(base, "resourceconfig.json").get("current_host", FIRST_HOST))


def hosts(base: Path) -> list[str]:
    """Return the names of all instances of the job, in one order on each."""
    return sorted(map(str, read(base, "resourceconfig.json").get("hosts", [host(base)])))


def output_uri(base: Path, name: str) -> str | None:
    """Return the S3 URI that an output of the job is uploaded to."""
    outputs = (read(base, "processingjobconfig.json").get("ProcessingOutputConfig") or {}).get("Outputs")
    for output in outputs or []:
        if output.get("OutputName") == name and output.get("S3Output"):
            return str(output["S3Output"]["S3Uri"])
    return None


def athena_query(base: Path) -> str | None:
    """Return the Athena query of the job's inputs."""
    for channel in read(base, "processingjobconfig.json").get("ProcessingInputs") or []:
        definition = (channel.get("DatasetDefinition") or {}).get("AthenaDatasetDefinition") or {}
        if "QueryString" in definition:
            return str(definition["QueryString"])
    return None


def read(base: Path, name: str) -> dict[str, Any]:
    """Return the content of a configuration file; empty if it does not exist."""
    file = base / "config" / name
    content: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return content
