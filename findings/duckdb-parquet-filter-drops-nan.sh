#!/usr/bin/env bash
# DuckDB sorts NaN above every number, so `score > 0.5` holds for NaN. Over a Parquet file that Arrow wrote it does
# not: the format's minimum and maximum leave NaN out, and DuckDB drops whole row groups by them. The same query
# answers 1 on a table and 0 on the file. A check that counts the broken predictions of a model then finds none, and
# max() looks sane. DuckDB's page on floating-point types says that NaN is the greatest value, and nothing of files
# (duckdb issue 25521).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0 pyarrow==26.0.1
venv/bin/python - <<'PYTHON'
import sys

import duckdb
import pyarrow
from pyarrow import parquet

scores = pyarrow.table({"score": [0.1, 0.2, float("nan")]})
parquet.write_table(scores, "scores.parquet")


def count(table: str) -> int:
    return duckdb.sql(f"SELECT count(*) FROM {table} WHERE score > 0.5").fetchall()[0][0]


version = f"duckdb {duckdb.__version__}, pyarrow {pyarrow.__version__}"
expected = "one row above 0.5 in the table and in the file"
seen = {"table": count("scores"), "file": count("'scores.parquet'")}
documented = {"table": 1, "file": 0}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
