#!/usr/bin/env bash
# sum() over integers is a HUGEINT in DuckDB, which neither pandas nor Parquet has: `.df()` and COPY ... TO Parquet
# turn it into a DOUBLE without a warning, and digits beyond 2^53 are gone. A sum of row hashes, the usual
# order-independent fingerprint of a dataset, so is the same for two datasets that differ; fetchall() and JSON keep
# every digit. That sum() returns HUGEINT is documented; that writing it down rounds it is not.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check duckdb==2.0.0 pandas==3.1.1
venv/bin/python - <<'PYTHON'
import sys

import duckdb

ROWS = "(VALUES (9007199254740992::BIGINT), ({}::BIGINT)) rows(hash)"


def fingerprints(hash: int) -> tuple[int, float, float]:
    query = f"SELECT sum(hash) AS print FROM {ROWS.format(hash)}"
    duckdb.sql(f"COPY ({query}) TO 'print.parquet'")
    return (
        duckdb.sql(query).fetchall()[0][0],
        duckdb.sql(query).df()["print"][0],
        duckdb.sql("FROM 'print.parquet'").fetchall()[0][0],
    )


one, other = fingerprints(1), fingerprints(0)
version = f"duckdb {duckdb.__version__}"
expected = "datasets that differ have fingerprints that differ: (True, True, True)"
seen = tuple(bool(a != b) for a, b in zip(one, other)), [type(value).__name__ for value in one]
documented = (True, False, False), ["int", "float64", "float"]
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
