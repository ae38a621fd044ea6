#!/usr/bin/env bash
# In Step Functions a boolean is no number: BooleanEquals does not match 1, IsNumeric does not match true, and an
# array of numbers does not contain true. ministack compares by Python's rules, where True == 1, and States.Format
# writes True and {'a': 1}. So a gate on `approved` opens on a laptop for a function that answers 1, and a message
# is checked that AWS words otherwise. The specification of the states language says how each is to be compared and
# written.
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


data = {"one": 1, "yes": True, "some": [3, 1, 2], "map": {"a": 1}}
with ministack() as (session, url):
    client = session.client("stepfunctions", endpoint_url=url)
    seen = {
        "BooleanEquals": branch(client, {"Variable": "$.one", "BooleanEquals": True}, data),
        "IsNumeric": branch(client, {"Variable": "$.yes", "IsNumeric": True}, data),
        "ArrayContains": value(client, "States.ArrayContains($.some, $.yes)", data),
        "ArrayUnique": value(client, "States.ArrayUnique(States.Array($.one, $.yes))", data),
        "Format": value(client, "States.Format('{} {}', $.yes, $.map)", data),
    }

version = f"ministack {version_of('ministack')}"
expected = {
    "BooleanEquals": "reject",
    "IsNumeric": "reject",
    "ArrayContains": False,
    "ArrayUnique": [1, True],
    "Format": 'true {"a":1}',
}
documented = {
    "BooleanEquals": "deploy",
    "IsNumeric": "deploy",
    "ArrayContains": True,
    "ArrayUnique": [1],
    "Format": "True {'a': 1}",
}
print("version: ", version)
print("expected:", expected)
print("seen:    ", seen)
sys.exit(0 if seen == documented else "This is no longer what this script documents.")
PYTHON
