#!/usr/bin/env bash
# A gzip file that was cut off in transfer raises EOFError wherever it is read. A Zstandard file does not:
# python-zstandard's reader ends at the last whole block as if it were the end of the file, and so pandas; DuckDB's
# CSV reader too. Here half of a file gives more than half of its rows, and no error: a retraining goes on with what
# is left. Only pyarrow objects. None of the documentations says that an end which is missing goes unnoticed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check duckdb==2.0.0 pandas==3.1.1 pyarrow==26.0.1 zstandard==0.25.0
venv/bin/python - <<'PYTHON'
import gzip
import sys
from pathlib import Path

import duckdb
import pandas
import pyarrow
import zstandard
from pyarrow import csv

ROWS = 200_000
lines = "".join(f"{number},text {number}\n" for number in range(ROWS))
content = ("id,text\n" + lines).encode()
whole = zstandard.ZstdCompressor().compress(content)
part = whole[: len(whole) // 2]
Path("rows.csv.zst").write_bytes(part)
packed = gzip.compress(content)
Path("rows.csv.gz").write_bytes(packed[: len(packed) // 2])


def outcome(read) -> str:
    try:
        rows = read()
    except Exception as error:
        return type(error).__name__
    return "no error, rows lost" if rows < ROWS else "all rows"


COUNT = "SELECT count(*) FROM read_csv('rows.csv.{}', columns = {{'line': 'VARCHAR'}}, delim = '|', quote = '', header = true)"
version = f"zstandard {zstandard.__version__}, pandas {pandas.__version__}, duckdb {duckdb.__version__}, pyarrow {pyarrow.__version__}"
expected = "an error by every reader, as for gzip"
seen = {
    "pandas gzip": outcome(lambda: len(pandas.read_csv("rows.csv.gz", sep="|"))),
    "duckdb gzip": outcome(lambda: duckdb.sql(COUNT.format("gz")).fetchall()[0][0]),
    "pandas zstd": outcome(lambda: len(pandas.read_csv("rows.csv.zst", sep="|"))),
    "duckdb zstd": outcome(lambda: duckdb.sql(COUNT.format("zst")).fetchall()[0][0]),
    "pyarrow zstd": outcome(lambda: csv.read_csv("rows.csv.zst").num_rows),
}
documented = {
    "pandas gzip": "EOFError",
    "duckdb gzip": "IOException",
    "pandas zstd": "no error, rows lost",
    "duckdb zstd": "no error, rows lost",
    "pyarrow zstd": "OSError",
}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
