#!/usr/bin/env bash
# S3 URL-encodes an object's key in its classic notifications, and delivers it as it is through EventBridge.
# Powertools' data class for the EventBridge event decodes it all the same: `raw/a+b%20c.csv`, a legal key, comes
# out as `raw/a b c.csv`, another object or none. The parser model of the same library, for the same event, leaves
# it alone (and leaves the classic one encoded, where the data class decodes). Neither page says which utility
# decodes what.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check aws-lambda-powertools==3.37.0 pydantic==2.14.3
venv/bin/python - <<'PYTHON'
import sys

from aws_lambda_powertools.shared.version import VERSION
from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent
from aws_lambda_powertools.utilities.parser.models import S3EventNotificationEventBridgeModel

event = {
    "version": "0",
    "id": "1",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "123456789012",
    "time": "2026-11-29T00:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:s3:::data"],
    "detail": {
        "version": "0",
        "bucket": {"name": "data"},
        "object": {"key": "raw/a+b%20c.csv", "size": 1, "etag": "e", "sequencer": "1"},
        "request-id": "r",
        "requester": "123456789012",
        "source-ip-address": "192.0.2.1",
        "reason": "PutObject",
    },
}
version = f"aws-lambda-powertools {VERSION}"
expected = event["detail"]["object"]["key"]
seen = {
    "data class": S3EventBridgeNotificationEvent(event).detail.object.key,
    "parser": S3EventNotificationEventBridgeModel.model_validate(event).detail.object.key,
}
documented = {"data class": "raw/a b c.csv", "parser": "raw/a+b%20c.csv"}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
