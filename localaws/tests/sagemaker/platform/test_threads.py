import threading
import time

from localaws.sagemaker.platform.threads import run_parallel


def test_all_calls_run_concurrently() -> None:
    barrier = threading.Barrier(3, timeout=120)
    run_parallel([barrier.wait] * 3)
    assert not barrier.broken


def test_the_total_wait_is_bounded() -> None:
    event = threading.Event()
    started = time.monotonic()
    run_parallel([event.wait] * 150, 0.2)
    assert 0.2 <= time.monotonic() - started < 25  # one after the other: 30
    event.set()
