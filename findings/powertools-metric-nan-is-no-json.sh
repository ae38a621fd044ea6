#!/usr/bin/env bash
# A metric that is not a number happens in evaluation: scikit-learn's roc_auc_score answers nan where a class is
# absent, with a warning only. Powertools' Metrics takes it and prints the bare word NaN, which is no JSON:
# CloudWatch cannot extract any metric of that line, also not the good ones beside it, and the Lambda succeeds.
# CloudWatch documents for PutMetricData that NaN is not supported; Powertools' pages speak of no exception.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check aws-lambda-powertools==3.37.0 orjson==3.13.0
venv/bin/python - <<'PYTHON'
import contextlib
import io
import sys

import orjson
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.shared.version import VERSION

metrics = Metrics(namespace="Retrain", service="judge")
metrics.add_metric("Accuracy", MetricUnit.NoUnit, 0.9)
metrics.add_metric("Auc", MetricUnit.NoUnit, float("nan"))
output = io.StringIO()
with contextlib.redirect_stdout(output):
    metrics.flush_metrics()
try:
    orjson.loads(output.getvalue())
    parsed = "JSON"
except orjson.JSONDecodeError:
    parsed = "not JSON"

version = f"aws-lambda-powertools {VERSION}"
expected = "a refusal, or JSON without the value"
seen = '"Accuracy":[0.9]' in output.getvalue(), '"Auc":[NaN]' in output.getvalue(), parsed
documented = True, True, "not JSON"
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
