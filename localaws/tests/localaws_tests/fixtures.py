"""Fixtures: a running localaws, and a platform in the tests' own process on its S3, IAM and logs.

A conftest.py imports those that its tests use.
"""

import uuid
from collections.abc import Iterator

import pytest

from localaws.runtimes.images import Images
from localaws.runtimes.process import ProcessRuntime
from localaws.sagemaker.platform.logs import Logs
from localaws.sagemaker.platform.platform import Platform
from localaws.sagemaker.platform.sessions import Sessions
from localaws.sagemaker.platform.storage import Storage
from localaws.testing import ACCOUNT, REGION, Laptop, allow, running
from localaws_tests import IMAGES
from localaws_tests.jobs import PRELUDE, SCRIPTS, Bucket

QUICKLY = ("--wait-scale=0.02", "--offline-store-lag=0.2", "--spot-interruption-after=5")


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """One localaws for the whole session."""
    with running(IMAGES, tmp_path_factory.mktemp("localaws"), *QUICKLY) as laptop:
        yield laptop


@pytest.fixture(scope="session")
def platform(laptop: Laptop, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A platform with the one image "obedient"."""
    root = tmp_path_factory.mktemp("platform")
    folder = root / "images" / "obedient"
    folder.mkdir(parents=True)
    for name, script in SCRIPTS.items():
        (folder / name).write_text(PRELUDE + script)
        (folder / name).chmod(0o755)
    sessions = Sessions(laptop.endpoint_url, REGION, "test", "test", laptop.assume_role)
    runtime = ProcessRuntime(Images(folder.parent), root / "environments")
    return Platform(ACCOUNT, REGION, root / "work", runtime, sessions, Logs(sessions.client("logs")))


@pytest.fixture
def bucket(laptop: Laptop) -> Bucket:
    return Bucket(laptop)


@pytest.fixture
def role_arn(laptop: Laptop, bucket: Bucket) -> str:
    """A role that may use the test's bucket."""
    name = f"role-{uuid.uuid4().hex[:12]}"
    return laptop.role(name, allow("s3:*", resource=f"arn:aws:s3:::{bucket.name}*"))


@pytest.fixture
def storage(platform: Platform, role_arn: str) -> Storage:
    return Storage(platform.sessions, role_arn)


@pytest.fixture
def job_name() -> str:
    return f"job-{uuid.uuid4().hex[:12]}"
