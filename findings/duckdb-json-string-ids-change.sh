#!/usr/bin/env bash
# JSON has a string type, and a reader of JSON needs not guess. DuckDB's read_json does: strings that all look like
# a UUID or a time become one, and read differently afterwards. An id in capitals comes back in small letters, and a
# text "1:30" as "01:30:00", so joins with what another tool wrote from the same file match nothing. The
# documentation describes the detection of dates and timestamps; that a value does not survive a cast back to text
# is not there.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0
venv/bin/python - <<'PYTHON'
import json
import sys
from pathlib import Path

import duckdb

row = {"id": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "text": "1:30"}
Path("rows.jsonl").write_text(json.dumps(row) + "\n")

version = f"duckdb {duckdb.__version__}"
expected = tuple(row.values())
seen = duckdb.sql("SELECT id::VARCHAR, text::VARCHAR FROM read_json('rows.jsonl')").fetchall()[0]
documented = ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "01:30:00")
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
