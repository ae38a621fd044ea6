import threading
import time

from localaws.sagemaker.platform.notifier import Notifier


def test_a_notification_wakes_a_waiting_thread() -> None:
    notifier = Notifier()
    threading.Timer(0.05, notifier.notify).start()
    started = time.monotonic()
    notifier.wait(notifier.count, 600)
    assert time.monotonic() - started < 300
    assert notifier.count == 1


def test_a_notification_before_the_wait_is_not_missed() -> None:
    notifier = Notifier()
    seen = notifier.count
    notifier.notify()
    started = time.monotonic()
    notifier.wait(seen, 600)
    assert time.monotonic() - started < 300


def test_without_a_notification_the_wait_ends_after_its_seconds() -> None:
    notifier = Notifier()
    started = time.monotonic()
    notifier.wait(notifier.count, 0.1)
    assert time.monotonic() - started >= 0.1
