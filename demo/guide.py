"""The commands to go on with, for the AWS CLI of any version."""

import os
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from demo.stack import Stack
from demo.upload import PREFIX

ENVIRONMENT = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")


def print_next(console: Console, stack: Stack, setup: str, stop: str) -> None:
    """Print what can be done with the stack now.

    Args:
        console: where to.
        stack: with what.
        setup: a command that prepares a new shell; without it, the variables to export.
        stop: a command that ends everything; without it, nothing is said of that.
    """
    console.print("\n[bold]Go on[/]")
    before = [("in a new shell, first", setup or "\n  ".join(exports()))]
    after = [("stop everything, and forget what it held", stop)]
    for title, command in [*before, *commands(stack), *after]:
        if command:
            console.print(f"  [dim]# {title}[/]")
            console.print(Text(f"  {command}"), soft_wrap=True)


def exports(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return what a new shell needs to reach an endpoint that is not AWS's own."""
    if "AWS_ENDPOINT_URL" not in environ:
        return []
    return [f"export {name}={environ[name]}" for name in ENVIRONMENT if environ.get(name)]


def commands(stack: Stack) -> list[tuple[str, str]]:
    """Return each command with what it does."""
    machine = f"--state-machine-arn {stack.state_machine}"
    fold = " \\\n    "
    return [
        ("drop another file: the model retrains itself", f"aws s3 cp more.csv s3://{stack.bucket}/{PREFIX}"),
        (
            "run again although nothing is new",
            f"aws stepfunctions start-execution --input '{{\"force\": true}}'{fold}{machine}",
        ),
        ("see the newest runs", f"aws stepfunctions list-executions --max-items 5{fold}{machine}"),
        (
            "ask the real-time endpoint",
            'echo \'{"text": "a great film"}\' | aws sagemaker-runtime invoke-endpoint'
            f"{fold}--endpoint-name {stack.real_time} --content-type application/jsonlines"
            f"{fold}--body fileb:///dev/stdin /dev/stdout",
        ),
        (
            "read its log",
            "aws logs filter-log-events --query 'events[].message' --output text"
            f"{fold}--log-group-name /aws/sagemaker/Endpoints/{stack.real_time}",
        ),
        (
            "stop a run (ARN as listed); what is live stays live",
            "aws stepfunctions stop-execution --execution-arn ARN",
        ),
    ]


def following(execution: str) -> str:
    """Return the command that shows how an execution goes on."""
    return f"aws stepfunctions describe-execution --execution-arn {execution}"
