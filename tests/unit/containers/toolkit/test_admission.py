from toolkit.admission import Gate
from toolkit.messages import Request
from toolkit.metrics import Meters


def test_so_many_requests_are_let_in_until_one_leaves() -> None:
    gate = Gate(2, 100)
    first, second, third = Request(), Request(), Request()
    assert gate.enter(first) is gate.enter(second) is None
    refused = gate.enter(third)
    assert refused is not None
    assert (refused.status, dict(refused.headers)) == (503, {"Retry-After": "1"})
    gate.leave(third)
    assert gate.inside == 2
    gate.leave(first)
    gate.leave(first)
    assert gate.inside == 1
    assert gate.enter(third) is None


def test_so_many_bytes_are_held_until_they_are_dropped() -> None:
    gate = Gate(10, 100)
    first, second = Request(), Request()
    assert gate.hold(first, 60) is None
    first.parts.append(b"x" * 60)
    assert gate.hold(first, 40) is None
    assert gate.hold(second, 1) is not None
    gate.drop(first)
    assert (gate.held, first.body) == (0, b"")
    assert gate.hold(second, 100) is None
    gate.leave(second)
    assert gate.held == 0


def lines(meters: Meters) -> dict[str, float]:
    pairs = (line.rpartition(" ") for line in meters.text().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_metrics_are_summed_over_the_workers() -> None:
    meters = Meters(2)
    for worker in (0, 1):
        meters.take(worker)
        meters.answered(200, 0.004, 3)
        meters.called(0.002)
        meters.in_work(2)
    meters.answered(418, 100.0, 0)
    told = lines(meters)
    assert told['serve_requests_total{status="200"}'] == 2
    assert told['serve_requests_total{status="500"}'] == 1
    assert told["serve_rows_total"] == 6
    assert told["serve_requests_in_work"] == 4
    assert told['serve_request_seconds_bucket{le="0.0025"}'] == 0
    assert told['serve_request_seconds_bucket{le="0.005"}'] == 2
    assert told['serve_request_seconds_bucket{le="60.0"}'] == 2
    assert told['serve_request_seconds_bucket{le="+Inf"}'] == 3
    assert told["serve_request_seconds_sum"] == 100.008
    assert told["serve_model_seconds_total"] == 0.004
    meters.take(0)
    assert lines(meters)["serve_requests_in_work"] == 2
    assert lines(meters)["serve_rows_total"] == 6
