from toolkit.metrics import Metrics


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
