#!/usr/bin/env bash
# JSON numbers have no size, and Python's json keeps every digit. orjson and DuckDB read an integer that needs more
# than 64 bits as a float, though orjson refuses to write one: two ids that differ become equal, and types differ
# from row to row. Hashes of 128 bits written as numbers are such ids. orjson documents the range that it supports,
# not that a float comes back beyond; DuckDB, which has HUGEINT for this, does not use it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check orjson==3.13.0 duckdb==2.0.0
venv/bin/python - <<'PYTHON'
import json
import sys
from pathlib import Path

import duckdb
import orjson

ids = [2**64, 2**64 + 1]
Path("rows.json").write_text("".join(json.dumps({"id": value}) + "\n" for value in ids))

version = f"orjson {orjson.__version__}, duckdb {duckdb.__version__}"
expected = "two different integers from each"
seen = {
    "json": len(set(json.loads(json.dumps(ids)))),
    "orjson": len(set(orjson.loads(json.dumps(ids)))),
    "duckdb": duckdb.sql("SELECT count(DISTINCT id) FROM 'rows.json'").fetchall()[0][0],
    "types": (type(orjson.loads(b"18446744073709551616")).__name__, str(duckdb.sql("FROM 'rows.json'").types[0])),
}
documented = {"json": 2, "orjson": 1, "duckdb": 1, "types": ("float", "DOUBLE")}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
