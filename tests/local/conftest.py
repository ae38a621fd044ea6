"""A laptop's AWS of the tests' own, started and stopped by its own command line."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

IMAGES = Path(__file__).parent / "images"
REGION = "us-east-1"
ACCOUNT = "000000000000"


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(reached: Callable[[], Any], seconds: float = 60) -> Any:
    """What `reached` answers once that is true; fails the test after the given time."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline  # who slept through the deadline looks once more
        if answer := reached():
            return answer
        if late:
            pytest.fail(f"not reached within {seconds} s")
        time.sleep(0.1)


@dataclass(frozen=True)
class Laptop:
    """A running localaws."""

    endpoint_url: str
    workdir: Path

    def client(self, service: str, **options: Any) -> Any:
        """A client as the account's root, or with other credentials and options."""
        root = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        make: Callable[..., Any] = boto3.client
        return make(service, endpoint_url=self.endpoint_url, region_name=REGION, **root | options)

    def role(self, name: str, *statements: dict[str, Any], principal: str = "sagemaker.amazonaws.com") -> str:
        """The ARN of a new role that may do what the statements say."""
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=policy(*statements))
        return arn

    def assume_role(self, role_arn: str) -> dict[str, str] | None:
        """A role's credentials, as a platform in this process gets them: None for one that is not there."""
        sts = self.client("sts")
        try:
            answer = sts.assume_role(RoleArn=role_arn, RoleSessionName="SageMaker")
        except sts.exceptions.ClientError:
            return None
        credentials = answer["Credentials"]
        return {**credentials, "Expiration": credentials["Expiration"].isoformat()}

    def allow(self, role_arn: str, *statements: dict[str, Any]) -> None:
        """Replace what a role may do."""
        self.client("iam").put_role_policy(
            RoleName=role_arn.rsplit("/", 1)[-1], PolicyName="policy", PolicyDocument=policy(*statements)
        )


def policy(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: str = "*") -> dict[str, Any]:
    """A statement."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def localaws(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "localaws", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """One localaws for the whole session."""
    workdir = tmp_path_factory.mktemp("localaws")
    port = free_port()
    quickly = ("--wait-scale=0.02", "--offline-store-lag=0.2", "--spot-interruption-after=5")
    options = (f"--port={port}", f"--workdir={workdir}", f"--images={IMAGES}", *quickly)
    started = localaws("up", *options)
    assert started.returncode == 0, started.stderr
    yield Laptop(f"http://127.0.0.1:{port}", workdir)
    assert "is down" in localaws("down", *options).stdout
