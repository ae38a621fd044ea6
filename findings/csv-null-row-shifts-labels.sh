#!/usr/bin/env bash
# A CSV of one column holds a missing value as an empty line. DuckDB writes it so, and reads it back as a row with
# NULL; pandas skips empty lines (skip_blank_lines), so the same file has one row fewer. Labels or predictions in
# such a file, one a line beside a file of texts, then all move up by one from there on and are compared with the
# wrong rows. Each side is documented; that they disagree on how many rows a file has, without an error, is not.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check duckdb==2.0.0 pandas==3.1.1
venv/bin/python - <<'PYTHON'
import sys

import duckdb
import pandas

duckdb.sql("COPY (FROM (VALUES ('pos'), (NULL), ('neg')) rows(label)) TO 'labels.csv'")

version = f"duckdb {duckdb.__version__}, pandas {pandas.__version__}"
expected = "three rows by both readers"
seen = {
    "duckdb": [label for (label,) in duckdb.sql("FROM 'labels.csv'").fetchall()],
    "pandas": pandas.read_csv("labels.csv").label.tolist(),
}
documented = {"duckdb": ["pos", None, "neg"], "pandas": ["pos", "neg"]}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
