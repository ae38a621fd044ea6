"""What SageMaker tells a job of itself, in the files below `config`; nothing where a job is run by hand."""

import json
from pathlib import Path
from typing import Any

FIRST_HOST = "algo-1"


def host(base: Path) -> str:
    """This instance's name among the job's, such as algo-1."""
    return str(read(base, "resourceconfig.json").get("current_host", FIRST_HOST))


def output_uri(base: Path, name: str) -> str | None:
    """Where an output of the job is uploaded to."""
    outputs = (read(base, "processingjobconfig.json").get("ProcessingOutputConfig") or {}).get("Outputs")
    for output in outputs or []:
        if output.get("OutputName") == name and output.get("S3Output"):
            return str(output["S3Output"]["S3Uri"])
    return None


def athena_query(base: Path) -> str | None:
    """The query that one of the job's inputs is the result of."""
    for channel in read(base, "processingjobconfig.json").get("ProcessingInputs") or []:
        definition = (channel.get("DatasetDefinition") or {}).get("AthenaDatasetDefinition") or {}
        if "QueryString" in definition:
            return str(definition["QueryString"])
    return None


def read(base: Path, name: str) -> dict[str, Any]:
    """A configuration file's content; empty if there is none."""
    file = base / "config" / name
    content: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return content
