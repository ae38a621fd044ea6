import pytest

from linear import hyperparameters
from toolkit.errors import HyperparameterError


def test_hyperparameters_have_defaults_and_ranges() -> None:
    parse = hyperparameters.parse
    defaults = parse({})
    values = {name: str(getattr(defaults, name)) for name in defaults.__slots__}
    assert parse(values) == defaults


def test_hyperparameters_override_the_preset() -> None:
    for preset, settings in hyperparameters.PRESETS.items():
        parsed = hyperparameters.parse({"preset": preset, "ngrams": "1", "_tuning_objective_metric": "x"})
        assert (parsed.preset, parsed.ngrams) == (preset, 1)
        assert all(str(getattr(parsed, name)) == value for name, value in {**settings, "ngrams": "1"}.items())
    assert hyperparameters.parse({"preset": "accurate", "char_ngrams": "4"}).char_ngrams == 4


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"preset": "quick"}, "preset"),
        ({"ngrams": "9"}, "ngrams"),
        ({"idf_share": "1.5"}, "idf_share"),
        ({"ngram": "2"}, "did you mean ngrams"),
    ],
)
def test_invalid_values_are_refused(values: dict[str, str], reason: str) -> None:
    with pytest.raises(HyperparameterError, match=reason):
        hyperparameters.parse(values)
