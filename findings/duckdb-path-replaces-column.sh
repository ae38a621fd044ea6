#!/usr/bin/env bash
# DuckDB takes `name=value` folders anywhere in a path for Hive partitions, also when one single file is named.
# Where the file itself has a column of that name, the folder's value replaces what is in the file, without a word;
# the same for Parquet, CSV and JSON. A relabelled file that lies under `label=neg/` is read with the old label.
# pyarrow and pandas read the file's own column. The documentation tells of detection for globs; not that a path
# beats the content.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0 pyarrow==26.0.1
venv/bin/python - <<'PYTHON'
import sys
from pathlib import Path

import duckdb
import pyarrow
from pyarrow import parquet

folder = Path("label=neg")
folder.mkdir()
parquet.write_table(pyarrow.table({"text": ["a fine film"], "label": ["pos"]}), folder / "rows.parquet")
(folder / "rows.csv").write_text("text,label\na fine film,pos\n")
(folder / "rows.json").write_text('{"text": "a fine film", "label": "pos"}\n')

version = f"duckdb {duckdb.__version__}, pyarrow {pyarrow.__version__}"
expected = "'pos' from every file"
seen = {kind: duckdb.sql(f"SELECT label FROM 'label=neg/rows.{kind}'").fetchall()[0][0] for kind in ("parquet", "csv", "json")}
seen["pyarrow"] = parquet.read_table(folder / "rows.parquet").to_pylist()[0]["label"]
documented = {"parquet": "neg", "csv": "neg", "json": "neg", "pyarrow": "pos"}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
