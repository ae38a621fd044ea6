import threading
import time

from localaws.sagemaker.platform.threads import run_parallel


def test_all_calls_are_made_at_once() -> None:
    barrier = threading.Barrier(3, timeout=10)
    run_parallel([barrier.wait] * 3)
    assert not barrier.broken


def test_all_waits_together_are_bounded() -> None:
    gate = threading.Event()
    began = time.monotonic()
    run_parallel([gate.wait] * 50, 0.2)
    assert 0.2 <= time.monotonic() - began < 5  # each for itself: 10
    gate.set()
