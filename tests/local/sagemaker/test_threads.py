import threading
import time

from localaws.sagemaker.threads import Bell, at_once


def test_all_calls_are_made_at_once() -> None:
    barrier = threading.Barrier(3, timeout=10)
    at_once([barrier.wait] * 3)
    assert not barrier.broken


def test_all_waits_together_are_bounded() -> None:
    gate = threading.Event()
    began = time.monotonic()
    at_once([gate.wait] * 50, 0.2)
    assert 0.2 <= time.monotonic() - began < 5  # each for itself: 10
    gate.set()


def test_a_bell_wakes_who_waits() -> None:
    bell = Bell()
    threading.Timer(0.05, bell.ring).start()
    began = time.monotonic()
    bell.wait(bell.rung, 10)
    assert time.monotonic() - began < 5
    assert bell.rung == 1


def test_a_bell_that_rang_before_the_wait_is_heard() -> None:
    bell = Bell()
    heard = bell.rung
    bell.ring()
    began = time.monotonic()
    bell.wait(heard, 10)
    assert time.monotonic() - began < 5


def test_a_bell_that_does_not_ring_is_waited_for_so_long() -> None:
    bell = Bell()
    began = time.monotonic()
    bell.wait(bell.rung, 0.1)
    assert time.monotonic() - began >= 0.1
