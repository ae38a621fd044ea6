#!/usr/bin/env bash
# Step Functions selects by JSONPath filters, slices and `..`, and fails an execution where a path finds nothing.
# ministack knows fields and indexes: for the rest, and for a field that is missing, it takes null and the execution
# succeeds; a Choice on a missing variable takes the default instead of failing. A workflow that was tried on a
# laptop then deploys with nulls, or fails on AWS at its first run. Its README calls it a full ASL interpreter.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile --disable-pip-version-check ministack==1.5.33 boto3==1.43.106
venv/bin/python - <<'PYTHON'
import json
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


def run(client, states: dict, data: dict) -> object:
    """The output of a machine, or its error."""
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    name = f"machine-{time.time_ns()}"
    role = "arn:aws:iam::000000000000:role/machine"
    machine = client.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
    execution = client.start_execution(stateMachineArn=machine, input=json.dumps(data))["executionArn"]
    while (ended := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.05)
    return json.loads(ended["output"]) if ended["status"] == "SUCCEEDED" else ended["error"]


def value(client, expression: str, data: dict) -> object:
    """What a Pass state makes of a path or an intrinsic function."""
    output = run(client, {"Ask": {"Type": "Pass", "Parameters": {"is.$": expression}, "End": True}}, data)
    return output["is"] if isinstance(output, dict) else output


def branch(client, rule: dict, data: dict) -> object:
    """Where a Choice state goes."""
    states = {
        "Gate": {"Type": "Choice", "Choices": [rule | {"Next": "Deploy"}], "Default": "Reject"},
        "Deploy": {"Type": "Pass", "Result": "deploy", "End": True},
        "Reject": {"Type": "Pass", "Result": "reject", "End": True},
    }
    return run(client, states, data)


models = {"models": [{"id": "a", "score": 0.7}, {"id": "b", "score": 0.9}]}
with ministack() as (session, url):
    client = session.client("stepfunctions", endpoint_url=url)
    seen = {
        "filter": value(client, "$.models[?(@.score > 0.8)].id", models),
        "slice": value(client, "$.models[0:1].id", models),
        "descent": value(client, "$..id", models),
        "missing": value(client, "$.champion", models),
        "missing in a choice": branch(client, {"Variable": "$.better", "BooleanEquals": True}, {}),
    }

version = f"ministack {version_of('ministack')}"
expected = {
    "filter": ["b"],
    "slice": ["a"],
    "descent": ["a", "b"],
    "missing": "States.Runtime",
    "missing in a choice": "States.Runtime",
}
documented = dict.fromkeys(("filter", "slice", "descent", "missing")) | {"missing in a choice": "reject"}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
