#!/usr/bin/env bash
# In CloudWatch's embedded metric format, dimensions and metadata are members of one JSON object. Powertools writes
# the metadata last: add_metadata("model", ...) replaces the value of the dimension `model`, and
# add_metadata("service", ...) that of the default one, so the metric is stored under another dimension and the
# alarm on the right one sees no data. A name that is both metadata and a metric loses the metadata instead. No
# warning; the documentation calls metadata high-cardinality extra data that is not part of the metric.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check aws-lambda-powertools==3.37.0
venv/bin/python - <<'PYTHON'
import contextlib
import io
import json
import sys

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.shared.version import VERSION

metrics = Metrics(namespace="Retrain", service="judge")
metrics.add_dimension("model", "reviews")
metrics.add_metric("Accuracy", MetricUnit.NoUnit, 0.9)
metrics.add_metadata("model", {"version": 7})
metrics.add_metadata("service", "evaluation")
output = io.StringIO()
with contextlib.redirect_stdout(output):
    metrics.flush_metrics()
line = json.loads(output.getvalue())

version = f"aws-lambda-powertools {VERSION}"
expected = {"dimensions": [["model", "service"]], "model": "reviews", "service": "judge"}
seen = {"dimensions": line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], "model": line["model"], "service": line["service"]}
documented = {"dimensions": [["model", "service"]], "model": {"version": 7}, "service": "evaluation"}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
