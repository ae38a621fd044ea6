"""The commands printed at the end."""

import shlex

from demo import guide
from demo.stack import Stack

STACK = Stack("retrain", "bucket", "arn:machine", "pipeline", "retrain-realtime", "retrain-async")


def test_every_command_can_be_pasted() -> None:
    for _, command in guide.commands(STACK):
        assert "aws" in shlex.split(command.replace("\\\n", " "))
    assert "--input '{\"force\": true}'" in guide.commands(STACK)[1][1]


def test_a_custom_endpoint_is_exported() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_DEFAULT_REGION": "us-east-1", "HOME": "/"}
    assert guide.exports(environ) == [
        "export AWS_ENDPOINT_URL=http://127.0.0.1:4566",
        "export AWS_DEFAULT_REGION=us-east-1",
    ]
    assert guide.exports({"AWS_DEFAULT_REGION": "us-east-1"}) == []
