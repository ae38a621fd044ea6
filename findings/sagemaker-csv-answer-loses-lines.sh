#!/usr/bin/env bash
# A quoted cell of CSV may hold line ends. The SageMaker SDK's CSVDeserializer splits an endpoint's answer by
# str.splitlines() before the csv module sees it: a line feed inside quotes vanishes and joins two words, and U+2028
# or a form feed, which are no line ends in CSV, make two rows of an unquoted one. An answer for two texts then has
# three rows, and each label stands beside another text. The same module's serializer writes what its counterpart
# cannot read.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check setuptools==80.10.2 sagemaker==2.257.7
venv/bin/python - <<'PYTHON'
import io
import logging
import os
import sys
import warnings
from importlib.metadata import version as version_of

warnings.simplefilter("ignore")
logging.disable(logging.INFO)
os.environ["SAGEMAKER_SUPPRESS_V2_WARNING"] = "1"

from sagemaker.deserializers import CSVDeserializer
from sagemaker.serializers import CSVSerializer


def there_and_back(rows: list[list[str]]) -> list[list[str]]:
    return CSVDeserializer().deserialize(io.BytesIO(CSVSerializer().serialize(rows).encode()), "text/csv")


answers = [["good\nfilm", "pos"]], [["good\u2028film", "pos"], ["bad", "neg"]]
version = f"sagemaker {version_of('sagemaker')}"
expected = answers
seen = tuple(there_and_back(rows) for rows in answers)
documented = [["goodfilm", "pos"]], [["good"], ["film", "pos"], ["bad", "neg"]]
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
