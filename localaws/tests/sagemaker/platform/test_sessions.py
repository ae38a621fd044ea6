import sys
import threading
from collections.abc import Iterator

import pytest

from localaws.sagemaker.platform.sessions import Sessions

THREADS = 8


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_threads_that_share_a_client_share_its_exceptions() -> None:
    for _ in range(5):
        sessions = Sessions("http://127.0.0.1:9", "us-east-1", "key", "secret", lambda arn: None)
        client, start, found = sessions.client("logs"), threading.Barrier(THREADS), list[type]()

        def look() -> None:
            start.wait()  # noqa: B023 - the threads end before the next turn
            found.append(client.exceptions.ResourceAlreadyExistsException)  # noqa: B023

        threads = [threading.Thread(target=look) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 1
