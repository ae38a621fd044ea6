"""What the tests of the functions share: AWS in this process, and its clients."""

import os
from typing import Any

import boto3
import pytest

CLIENTS: dict[Any, Any] = {}
create: Any = boto3.client


def shared_client(name: str, **options: Any) -> Any:
    """Return the process's client of a service: a client takes as long to create as a test to run."""
    account = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
    key = (name, repr(options), *account)
    if key not in CLIENTS:
        CLIENTS[key] = create(name, **options)
    return CLIENTS[key]


@pytest.fixture(autouse=True)
def shared_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the functions and their tests share one client per service."""
    monkeypatch.setattr(boto3, "client", shared_client)
