from pathlib import Path

import pytest

from localaws.container_check.errors import SampleError
from localaws.container_check.sample import load


def test_interrupted_hyperparameters_and_corrupted_channel(sample: Path) -> None:
    (sample / "train").rename(sample / "b")
    (sample / "a").mkdir()
    loaded = load(sample)
    assert loaded.interrupted == {"scale": "2", "rounds": "500"}
    assert loaded.corrupted_channel == "a"
    assert loaded.line_type == "text/csv"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("hyperparameters.json", '{"scale": 2}', "object of strings"),
        ("hyperparameters.json", "{", "is not JSON"),
        ("metrics.json", '[{"Name": "mean"}]', "Name and Regex"),
        ("request.csv", "1\n", "fewer than 2 rows"),
    ],
)
def test_an_invalid_file_is_named(name: str, content: str, message: str, sample: Path) -> None:
    (sample / name).write_text(content)
    with pytest.raises(SampleError, match=message) as error:
        load(sample)
    assert str(sample) in str(error.value)


def test_a_sample_needs_a_channel(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="create a folder `train`"):
        load(tmp_path)
