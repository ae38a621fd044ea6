import pytest

from transformer import launching


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"message": "TrainingDataError: no row", "extraInfo": {"py_callstack": "…"}}, "no row"),
        ({"message": "RuntimeError: no: way"}, "RuntimeError: no: way"),
        ("Signal 9 (SIGKILL) received by PID 7", "Signal 9 (SIGKILL) received by PID 7"),
    ],
)
def test_reason_of_a_process_that_failed_is_the_jobs(message: str | dict[str, object], reason: str) -> None:
    assert launching.failure_reason(message) == reason
