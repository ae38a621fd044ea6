"""Test utilities: start localaws on a free port and use it through boto3.

with running(images=Path("containers"), workdir=tmp_path) as laptop:
    role_arn = laptop.role("training", allow("s3:*"))
    laptop.client("sagemaker").create_training_job(RoleArn=role_arn, ...)
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localaws.settings import ACCOUNT_ID, DEFAULT_REGION, HOST, ROOT_KEY, ROOT_SECRET

ACCOUNT = ACCOUNT_ID
REGION = DEFAULT_REGION
COMMAND_SECONDS = 90
POLL_SECONDS = 0.1


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], seconds: float = 300) -> Any:
    """Call `condition` until its result is true and return that result.

    The default bounds what hangs, not what is slow on a busy machine.

    Raises:
        TimeoutError: the result did not become true within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline  # a thread that slept past the deadline checks once more
        if result := condition():
            return result
        if late:
            raise TimeoutError(f"the condition did not become true within {seconds} s")
        time.sleep(POLL_SECONDS)


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy document with these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: str = "*") -> dict[str, Any]:
    """Return a policy statement that allows these actions."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


@dataclass(frozen=True)
class Laptop:
    """A running localaws.

    Attributes:
        endpoint_url: the address of every service.
        workdir: the folder of its files.
    """

    endpoint_url: str
    workdir: Path

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client of the account's root, or with other credentials and options."""
        defaults = {
            "endpoint_url": self.endpoint_url,
            "region_name": REGION,
            "aws_access_key_id": ROOT_KEY,
            "aws_secret_access_key": ROOT_SECRET,
            "config": Config(proxies={}),  # a proxy cannot reach this machine's loopback address
        }
        make: Callable[..., Any] = boto3.client
        return make(service, **defaults | options)

    def role(self, name: str, *statements: dict[str, Any], principal: str = "sagemaker.amazonaws.com") -> str:
        """Create a role that the service `principal` is allowed to assume, with a policy of these statements.

        Returns:
            The role's ARN.
        """
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
        if statements:
            self.allow(arn, *statements)
        return arn

    def allow(self, role_arn: str, *statements: dict[str, Any]) -> None:
        """Replace the policy of a role."""
        self.client("iam").put_role_policy(
            RoleName=role_arn.rsplit("/", 1)[-1], PolicyName="policy", PolicyDocument=policy(*statements)
        )

    def assume_role(self, role_arn: str) -> dict[str, str] | None:
        """Return a role's credentials; None if the role does not exist or cannot be assumed."""
        sts = self.client("sts")
        try:
            response = sts.assume_role(RoleArn=role_arn, RoleSessionName="SageMaker")
        except sts.exceptions.ClientError:
            return None
        credentials = response["Credentials"]
        return {**credentials, "Expiration": credentials["Expiration"].isoformat()}

    def environment(self, role_arn: str | None = None) -> dict[str, str]:
        """Return the environment variables for AWS tools and SDKs to use this account as root or as a role.

        Raises:
            ValueError: the role cannot be assumed.
        """
        root = {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        }
        if role_arn is None:
            return root
        credentials = self.assume_role(role_arn)
        if credentials is None:
            raise ValueError(f"{role_arn} cannot be assumed")
        return root | {
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
        }


def localaws(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line, such as `localaws("status", "--port=4566")`, and return its result."""
    return subprocess.run(
        [sys.executable, "-m", "localaws", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=cwd,
    )


@contextmanager
def running(images: Path, workdir: Path, *options: str) -> Iterator[Laptop]:
    """Run `localaws up` on a free port and `localaws down` at the end.

    Args:
        images: the folder of the image folders.
        workdir: the folder for its files.
        options: more options of `localaws up`, such as "--wait-scale=0.1".

    Raises:
        RuntimeError: localaws did not start; the message is its error output.
    """
    port = free_port()
    where = (f"--port={port}", f"--workdir={workdir}", f"--images={images}")
    started = localaws("up", *where, *options)
    if started.returncode != 0:
        raise RuntimeError(started.stderr)
    try:
        yield Laptop(f"http://{HOST}:{port}", workdir)
    finally:
        localaws("down", *where)
