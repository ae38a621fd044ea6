#!/usr/bin/env bash
# ministack hands Athena's SQL to DuckDB as it is. Where a function is missing that is an error; where both have it,
# the answer differs without one: 7 / 2 is 3 in Trino and 3.5 here, concat and greatest with a NULL are NULL there
# and not here, 0.5 becomes 1 as an integer there and 0 here, regexp_replace replaces all there and the first here,
# and 1 / 0 is inf instead of a failure. Splits, rates and cleaned texts computed so on a laptop are not those of
# AWS. Its README promises full compatibility with Athena's SQL once DuckDB is installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check ministack==1.5.33 boto3==1.43.106 duckdb==2.0.0
venv/bin/python - <<'PYTHON'
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from importlib.metadata import version as version_of

import boto3


@contextmanager
def ministack():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    log = open("ministack.log", "wb")
    server = subprocess.Popen([sys.executable, "-m", "ministack"], env=os.environ | settings, stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health").close()
                break
            except OSError:
                time.sleep(0.1)
        yield boto3.Session("test", "test", region_name="us-east-1"), f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def ask(client, expression: str) -> str | None:
    """A query's only value, or FAILED."""
    output = {"OutputLocation": "s3://results/"}
    query = client.start_query_execution(QueryString=f"SELECT {expression} AS answer", ResultConfiguration=output)
    name = query["QueryExecutionId"]
    while True:
        state = client.get_query_execution(QueryExecutionId=name)["QueryExecution"]["Status"]["State"]
        if state == "FAILED":
            return state
        if state == "SUCCEEDED":
            rows = client.get_query_results(QueryExecutionId=name)["ResultSet"]["Rows"]
            return rows[1]["Data"][0].get("VarCharValue")
        time.sleep(0.05)


trino = {
    "7 / 2": "3",
    "1 / 0": "FAILED",
    "concat('a', NULL, 'b')": None,
    "greatest(1, NULL)": None,
    "CAST(CAST(0.5 AS double) AS integer)": "1",
    "regexp_replace('a a a', 'a', 'b')": "b b b",
}
with ministack() as (session, url):
    session.client("s3", endpoint_url=url).create_bucket(Bucket="results")
    client = session.client("athena", endpoint_url=url)
    seen = {expression: ask(client, expression) for expression in trino}

version = f"ministack {version_of('ministack')}, duckdb {version_of('duckdb')}"
expected = trino
documented = dict(zip(trino, ("3.5", "inf", "ab", "1", "0", "b a a")))
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
