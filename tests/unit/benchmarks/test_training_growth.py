"""The bounds and the bars of the training growth benchmark."""

import pytest

from benchmarks import training_growth
from benchmarks.classifiers import Result
from benchmarks.report import Report


def result(cpu_seconds: float, megabytes: float) -> Result:
    return Result(0.9, cpu_seconds, cpu_seconds / 2, megabytes, 2.5)


def test_growth_bounds_compare_the_smallest_with_the_largest_size(capsys: pytest.CaptureFixture[str]) -> None:
    found = Report("training_growth", "")
    training_growth.conclude(
        found, {100: result(1.0, 500.0), 300: result(2.0, 900.0), 1000: result(20.0, 8591.0)}
    )
    assert [(round(bound.value, 3), bound.held) for bound in found.bounds] == [
        (1.301, False),
        (8591, False),
        (2.5, True),
    ]
    output = capsys.readouterr().out
    assert "| 1,000 | 10.0 |  20.0 |         50 |   8,591 |      2.5 |   0.9000 |" in output
    assert "CPU time grows by rows^0.63 from 100 to 300 rows" in output


def test_the_curve_has_bars_in_proportion() -> None:
    drawn = training_growth.curve({100: result(3.0, 500.0), 1000: result(30.0, 1000.0)}).splitlines()
    assert [line.count("█") for line in drawn] == [6, 6, 30, 60, 60, 60]
    assert [line.split()[0] for line in drawn] == ["100"] * 3 + ["1,000"] * 3


@pytest.mark.parametrize("times", [["3", "3"], ["0", "1"]])
def test_an_invalid_command_line_is_an_error(times: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        training_growth.main(["--times", *times])
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
