"""Write rows to a feature group as the AWS samples do: one PutRecord call per row in a loop.

Usage: put_record.py CSV FEATURE_GROUP EVENT_TIME SOURCE. Runs in the environment of the processing image,
with which it is compared.
"""

import csv
import sys

import boto3


def main(path: str, group: str, event_time: str, source: str) -> None:
    """Write all rows and print the number of requests, including retries."""
    client = boto3.client("sagemaker-featurestore-runtime")
    requests: list[object] = []
    client.meta.events.register("before-send.sagemaker-featurestore-runtime", lambda **_: requests.append(1))
    rows = 0
    with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123 - as in the samples
        for row in csv.DictReader(file):
            values = {
                "record_id": row["id"],
                "event_time": event_time,
                "text": row["text"],
                "label": row["label"],
                "source": source,
            }
            client.put_record(
                FeatureGroupName=group,
                Record=[{"FeatureName": name, "ValueAsString": value} for name, value in values.items()],
            )
            rows += 1
            if rows % 1000 == 0:
                print(f"{rows:,} rows", flush=True)
    print(f"written: {len(requests)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
