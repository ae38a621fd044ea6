from toolkit.admission import AdmissionControl
from toolkit.messages import Request
from toolkit.metrics import Metrics


def test_so_many_requests_are_let_in_until_one_leaves() -> None:
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


def test_so_many_bytes_are_held_until_they_are_dropped() -> None:
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


def lines(metrics: Metrics) -> dict[str, float]:
    pairs = (line.rpartition(" ") for line in metrics.text().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_metrics_are_summed_over_the_workers() -> None:
    metrics = Metrics(2)
    for worker in (0, 1):
        metrics.use_slot(worker)
        metrics.record_response(200, 0.004, 3)
        metrics.record_model_call(0.002)
        metrics.set_in_work(2)
    metrics.record_response(418, 100.0, 0)
    values = lines(metrics)
    assert values['serve_requests_total{status="200"}'] == 2
    assert values['serve_requests_total{status="500"}'] == 1
    assert values["serve_rows_total"] == 6
    assert values["serve_requests_in_work"] == 4
    assert values['serve_request_seconds_bucket{le="0.0025"}'] == 0
    assert values['serve_request_seconds_bucket{le="0.005"}'] == 2
    assert values['serve_request_seconds_bucket{le="60.0"}'] == 2
    assert values['serve_request_seconds_bucket{le="+Inf"}'] == 3
    assert values["serve_request_seconds_sum"] == 100.008
    assert values["serve_model_seconds_total"] == 0.004
    metrics.use_slot(0)
    assert lines(metrics)["serve_requests_in_work"] == 2
    assert lines(metrics)["serve_rows_total"] == 6
