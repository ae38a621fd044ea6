"""Create the folder of a processing job without a job."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.local_aws import BUCKET, Group
from localaws.settings import DEFAULT_REGION

EVENT_TIME = "2026-01-01T00:00:00.000Z"
RAW = "raw/"
TIMEOUT_MINUTES = "30"


def lay_out(base: Path, files: Iterable[Path]) -> None:
    """Create the input of `ingest`: links to the raw files, and the plan that lists them."""
    folder = base / "processing/input"
    (folder / "raw" / RAW).mkdir(parents=True)
    (folder / "plan").mkdir()
    objects = []
    for file in files:
        (folder / "raw" / RAW / file.name).symlink_to(file.resolve())
        objects.append({"key": RAW + file.name, "etag": "", "eventTime": EVENT_TIME})
    (folder / "plan/plan.json").write_text(json.dumps({"objects": objects}))


def ingest_environment(group: Group) -> dict[str, str]:
    """Return the environment variables that the pipeline sets for `ingest`."""
    return {
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "FEATURE_GROUP_NAME": group.name,
        "OFFLINE_STORE_DATABASE": group.database,
        "OFFLINE_STORE_TABLE": group.table,
        "OFFLINE_STORE_TIMEOUT_MINUTES": TIMEOUT_MINUTES,
        "ATHENA_OUTPUT_URI": f"s3://{BUCKET}/athena/ingest",
    }


def ingest_report(base: Path) -> dict[str, Any]:
    """Return the report that `ingest` has written."""
    report: dict[str, Any] = json.loads((base / "processing/output/report/algo-1.json").read_text())
    return report
