#!/usr/bin/env bash
# predictor.predict(record) with the SageMaker SDK's JSONSerializer sends the record. With JSONLinesSerializer,
# which one takes for an endpoint of JSON Lines, the same call sends its keys: a dict is taken for an iterable of
# records, so {"text": "a fine film"} goes out as the line "text". A text classifier that accepts strings answers
# it, with a label for the word "text". The documentation names a string, an iterable of objects or a file as what
# it takes; a dict it does not refuse.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check setuptools==80.10.2 sagemaker==2.257.7
venv/bin/python - <<'PYTHON'
import logging
import os
import sys
import warnings
from importlib.metadata import version as version_of

warnings.simplefilter("ignore")
logging.disable(logging.INFO)
os.environ["SAGEMAKER_SUPPRESS_V2_WARNING"] = "1"

from sagemaker.serializers import JSONLinesSerializer, JSONSerializer

record = {"text": "a fine film"}
version = f"sagemaker {version_of('sagemaker')}"
expected = '{"text": "a fine film"}'
seen = {
    "JSONSerializer": JSONSerializer().serialize(record),
    "JSONLinesSerializer": JSONLinesSerializer().serialize(record),
    "in a list": JSONLinesSerializer().serialize([record]),
}
documented = {"JSONSerializer": expected, "JSONLinesSerializer": '"text"', "in a list": expected}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
