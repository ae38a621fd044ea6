import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from toolkit.hyperparameters import parse

FOLDER = Path(__file__).parents[2] / "containers/transformer"
LoadModule = Callable[[str | Path], ModuleType]


@pytest.fixture
def settings(load_module: LoadModule) -> ModuleType:
    return load_module(FOLDER / "settings.py")


def test_every_hyperparameter_is_documented_with_its_default(settings: ModuleType) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    documented = {name: value for name, value in rows if name not in ("train", "serve")}
    assert list(documented) == [field.name for field in fields(settings.Settings)]
    assert parse(settings.Settings, documented) == settings.Settings()


def test_tuning_tries_values_that_can_be_used(settings: ModuleType) -> None:
    ranges = json.loads((FOLDER / "tuning.json").read_text())
    tried = [each for kind in ranges.values() for each in kind]
    for end in ("MinValue", "MaxValue"):
        assert parse(settings.Settings, {each["Name"]: each[end] for each in tried})


def test_settings_without_influence_on_the_model_are_settings(settings: ModuleType) -> None:
    assert set(settings.AS_YOU_LIKE) < {field.name for field in fields(settings.Settings)}
