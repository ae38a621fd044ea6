from toolkit.admission import AdmissionControl
from toolkit.messages import Request


def test_requests_are_limited_until_one_is_released() -> None:
    admission = AdmissionControl(2, 100)
    first, second, third = Request(), Request(), Request()
    assert admission.admit(first) is admission.admit(second) is None
    refused = admission.admit(third)
    assert refused is not None
    assert (refused.status, dict(refused.headers)) == (503, {"Retry-After": "1"})
    admission.release(third)
    assert admission.in_work == 2
    admission.release(first)
    admission.release(first)
    assert admission.in_work == 1
    assert admission.admit(third) is None


def test_bytes_are_limited_until_they_are_discarded() -> None:
    admission = AdmissionControl(10, 100)
    first, second = Request(), Request()
    assert admission.reserve(first, 60) is None
    first.parts.append(b"x" * 60)
    assert admission.reserve(first, 40) is None
    assert admission.reserve(second, 1) is not None
    admission.discard(first)
    assert (admission.held_bytes, first.body) == (0, b"")
    assert admission.reserve(second, 100) is None
    admission.release(second)
    assert admission.held_bytes == 0
