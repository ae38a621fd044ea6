import json
import re
from dataclasses import fields
from pathlib import Path

from toolkit.hyperparameters import parse
from transformer import settings

FOLDER = Path(__file__).parents[4] / "containers/transformer"


def test_every_hyperparameter_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    documented = {name: value for name, value in rows if name not in ("train", "serve")}
    assert list(documented) == [field.name for field in fields(settings.Settings)]
    assert parse(settings.Settings, documented) == settings.Settings()


def test_tuning_tries_values_that_can_be_used() -> None:
    ranges = json.loads((FOLDER / "tuning.json").read_text())
    tried = [each for kind in ranges.values() for each in kind]
    for end in ("MinValue", "MaxValue"):
        assert parse(settings.Settings, {each["Name"]: each[end] for each in tried})


def test_settings_without_influence_on_the_model_are_settings() -> None:
    assert set(settings.NOT_IN_IDENTITY) < {field.name for field in fields(settings.Settings)}
