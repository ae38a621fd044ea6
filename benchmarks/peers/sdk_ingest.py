"""Write rows to a feature group with FeatureGroup.ingest of the sagemaker SDK.

Usage: sdk_ingest.py CSV FEATURE_GROUP EVENT_TIME SOURCE WORKERS. Runs in this project's environment, which
contains the SDK.
"""

import sys
import time

import pandas  # type: ignore[import-untyped]
from sagemaker.feature_store.feature_group import FeatureGroup
from sagemaker.session import Session


def main(path: str, group: str, event_time: str, source: str, workers: str) -> None:
    """Write all rows and print the seconds, without the SDK's import and reading the file."""
    rows = pandas.read_csv(path, dtype=str, keep_default_na=False).rename(columns={"id": "record_id"})
    rows["event_time"], rows["source"] = event_time, source
    target = FeatureGroup(group, sagemaker_session=Session())
    started = time.monotonic()
    target.ingest(rows, max_workers=int(workers), wait=True)
    print(f"written: {time.monotonic() - started}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
