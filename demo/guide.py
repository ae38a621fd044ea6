"""Print commands for the next steps, for any version of the AWS CLI."""

import os
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from demo.stack import Stack
from demo.upload import PREFIX

ENVIRONMENT = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")


def print_next(console: Console, stack: Stack, setup: str, stop: str) -> None:
    """Print commands for working with the stack.

    Args:
        console: the output.
        stack: the stack.
        setup: the command that prepares a new shell; if empty, the variables to export are printed.
        stop: the command that stops everything; if empty, no such command is printed.
    """
    console.print("\n[bold]Next steps[/]")
    before = [("first, in a new shell", setup or "\n  ".join(exports()))]
    after = [("stop everything and delete all data", stop)]
    for title, command in [*before, *commands(stack), *after]:
        if command:
            console.print(f"  [dim]# {title}[/]")
            console.print(Text(f"  {command}"), soft_wrap=True)


def exports(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the export commands that a new shell needs for a custom endpoint; none for AWS itself."""
    if "AWS_ENDPOINT_URL" not in environ:
        return []
    return [f"export {name}={environ[name]}" for name in ENVIRONMENT if environ.get(name)]


def commands(stack: Stack) -> list[tuple[str, str]]:
    """Return pairs of a description and a command."""
    machine = f"--state-machine-arn {stack.state_machine}"
    fold = " \\\n    "
    return [
        ("upload another file, which starts a run", f"aws s3 cp more.csv s3://{stack.bucket}/{PREFIX}"),
        (
            "start a run without new data",
            f"aws stepfunctions start-execution --input '{{\"force\": true}}'{fold}{machine}",
        ),
        ("list the newest runs", f"aws stepfunctions list-executions --max-items 5{fold}{machine}"),
        (
            "invoke the real-time endpoint",
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
            "stop a run (ARN from the list); the live model stays live",
            "aws stepfunctions stop-execution --execution-arn ARN",
        ),
    ]


def following(execution: str) -> str:
    """Return the command that shows the status of an execution."""
    return f"aws stepfunctions describe-execution --execution-arn {execution}"
