import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from linear.hyperparameters import Hyperparameters
from pipeline import ranges
from toolkit.hyperparameters import parse
from transformer.settings import Settings

CONTAINERS = Path(__file__).parents[3] / "containers"
SETTINGS: dict[str, Any] = {"linear": Hyperparameters, "transformer": Settings}
RATE = {"Name": "rate", "MinValue": "0.1", "MaxValue": "1", "ScalingType": "Logarithmic"}


def declare(containers: Path, content: object, name: str = "mine") -> None:
    folder = containers / name
    folder.mkdir()
    (folder / "tuning.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_each_folder_with_the_file_is_tuned(tmp_path: Path) -> None:
    kinds = {
        "ContinuousParameterRanges": [RATE],
        "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "8"}],
        "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
    }
    declare(tmp_path, kinds, "gradient-boosting")
    declare(tmp_path, {"ContinuousParameterRanges": [RATE]}, "linear")
    (tmp_path / "processing").mkdir()
    assert ranges.read_ranges(tmp_path) == {
        "gradient-boosting": kinds,
        "linear": {"ContinuousParameterRanges": [RATE]},
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "mine/tuning.json is not JSON"),
        ({"ContinuousRanges": [RATE]}, 'Unknown parameter in input: "ContinuousRanges"'),
        ({"ContinuousParameterRanges": [RATE | {"MinValue": 0.1}]}, "Invalid type for parameter .*MinValue"),
        ({"ContinuousParameterRanges": [{"Name": "rate"}]}, 'Missing required parameter .*"MinValue"'),
        (
            {"ContinuousParameterRanges": [RATE | {"ScalingType": "Log"}]},
            r"ContinuousParameterRanges\[0\].ScalingType is 'Log' and has to be one of Auto, Linear",
        ),
        (
            {"ContinuousParameterRanges": [RATE | {"Name": f"rate{n}"} for n in range(31)]},
            "ContinuousParameterRanges has 31 items, the most are 30",
        ),
        (
            {"ContinuousParameterRanges": [RATE, RATE]},
            r"has the ranges \['rate', 'rate'\]: give at least one",
        ),
        ({}, r"has the ranges \[\]: give at least one, each hyperparameter once, or delete the file"),
    ],
)
def test_what_sagemaker_would_refuse_is_refused(tmp_path: Path, content: object, words: str) -> None:
    declare(tmp_path, content)
    with pytest.raises(ranges.RangesError, match=words):
        ranges.read_ranges(tmp_path)


@pytest.mark.parametrize("name", ["my_model", "Mine", "-mine"])
def test_a_folder_that_no_mapping_can_name_is_refused(tmp_path: Path, name: str) -> None:
    declare(tmp_path, {"ContinuousParameterRanges": [RATE]}, name)
    with pytest.raises(ranges.RangesError, match=f"{name}/tuning.json: a folder that is tuned has a name of"):
        ranges.read_ranges(tmp_path)


def test_containers_take_whatever_a_search_proposes() -> None:
    tuned = ranges.read_ranges(CONTAINERS)
    assert tuned.keys() <= SETTINGS.keys()
    for name, kinds in tuned.items():
        values = [
            [(item["Name"], value) for value in item.get("Values") or (item["MinValue"], item["MaxValue"])]
            for kind in kinds.values()
            for item in kind
        ]
        for combination in product(*values):
            parse(SETTINGS[name], dict(combination))
