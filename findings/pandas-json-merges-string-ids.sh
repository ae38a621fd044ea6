#!/usr/bin/env bash
# Ids are strings in JSON so that no reader rounds them. pandas.read_json makes numbers of them all the same, column
# by column, if all of them look like one: two ids of 20 digits become the same float, "12e4" becomes 120000.0 and
# "007" becomes 7. drop_duplicates or a join on the id then loses or mixes records, silently. The documentation of
# `dtype` says that types are inferred; that a quoted string is parsed as a number, with loss, nobody reads there.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check pandas==3.1.1
venv/bin/python - <<'PYTHON'
import io
import sys

import pandas


def ids(*values: str) -> list[object]:
    lines = "".join(f'{{"id": "{value}"}}\n' for value in values)
    return pandas.read_json(io.StringIO(lines), lines=True).id.tolist()


version = f"pandas {pandas.__version__}"
expected = "the strings as they are"
seen = len(set(ids("12345678901234567891", "12345678901234567892"))), ids("12e4", "34e5"), ids("007", "0123")
documented = 1, [120000.0, 3400000.0], [7, 123]
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
