from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from processing.errors import ContractError
from processing.ingestion import contract, rows
from tests.unit.containers.processing.ingest_job import FOLDER

DECLARED = (FOLDER / "contract.toml").read_text("utf-8")
Load = Callable[..., Any]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the declared contract with some of its text replaced."""

    def load(*changes: tuple[str, str]) -> Any:
        text = DECLARED
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "contract.toml").write_text(text, "utf-8")
        return contract.load(tmp_path / "contract.toml")

    return load


def test_declared_contract_is_sound() -> None:
    declared = contract.load()
    assert list(declared.fields) == ["id", "text", "label", "split"]
    assert declared.required == ["text", "label"]
    assert declared.max_bad_share == 0.1
    assert declared.fields["split"].allowed == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("[fields.text]", "[fields.txt]"), "contract.toml: fields.text is missing"),
        (("max_bad_share = 0.1", "max_bad_share = 10"), "files.max_bad_share is 10; a number from 0 to 1"),
        (("max_rows = ", "max_row = "), "files.max_rows is missing"),
        (("max_rows = ", "max_lines = 5\nmax_rows = "), "files.max_lines is unknown"),
        (
            ("min_length = 1\nmax_length = 512", "max_lenght = 512"),
            "fields.id.max_lenght is unknown; did you mean max_length?",
        ),
        (("required = false", 'required = "no"'), "fields.id.required is 'no'; true or false is needed"),
        (("unique = true", "unique = 1"), "fields.id.unique is 1; true or false is needed"),
        (("required = true", "required = false"), "fields.text.required must be true: a model is trained"),
        (("max_bytes = 2048", "max_bytes = 4096"), "id.max_bytes is 4096; a whole number from 1 to 2,048"),
        (("max_length = 512", "max_length = 0"), "fields.id.max_length is 0; a whole number from 1 to"),
        (("max_json_depth = 32", "max_json_depth = true"), "files.max_json_depth is True; a whole number"),
        (('types = ["string"]', 'types = ["text"]'), "fields.text.types holds 'text'; string, integer are"),
        (('"validation", "test"]', '"dev"]'), "fields.split.allowed holds 'dev'; train, validation, test"),
        (("allowed = []", 'allowed = "pos"'), "fields.label.allowed is 'pos'; a list of strings is needed"),
        (('line_breaks = "space"', 'line_breaks = "tab"'), "line_breaks is 'tab'; refuse or space is needed"),
        (
            ("max_bytes = 350_000 ", "max_bytes = 358_400 "),
            "a record could have 362,569 bytes; a feature store's holds 358,400: lower fields.text.max_bytes",
        ),
        (
            ("[fields.label.values]\n", "[fields.label.value]\n"),
            "fields.label.value is unknown; did you mean values?",
        ),
        (('aliases = ["sentiment"', 'aliases = [5, "sentiment"'), "fields.label.aliases is [5, 'sentiment'"),
        (("min_label_rows = 1", "min_label_rows = 0"), "dataset.min_label_rows is 0; a whole number from 1"),
        (("[fields.id]", "[fields.id"), "contract.toml: Expected ']'"),
    ],
)
def test_names_what_it_cannot_accept(load: Load, change: tuple[str, str], reason: str) -> None:
    with pytest.raises(ContractError) as caught:
        load(change)
    assert str(caught.value).startswith("contract.toml: ")
    assert reason in str(caught.value)


def row(rules: Any, **values: object) -> Any:
    return rows.check(rows.Record(1, {"id": "1", "text": "a", "label": "pos"} | values), rules)


def test_label_set_can_be_closed(load: Load) -> None:
    rules = load(("allowed = []", 'allowed = ["neg", "pos"]'))
    assert row(rules, label=" pos ").label == "pos"
    assert row(rules, label="Pos").reason.startswith("unknown label 'Pos'; use neg or pos")


def test_text_length_can_be_bounded(load: Load) -> None:
    rules = load(
        ("min_length = 1                 #", "min_length = 3 #"), ("max_length = 350_000", "max_length = 5")
    )
    assert row(rules, text=" ab ").reason == "text of 2 characters; at least 3"
    assert row(rules, text="abc").text == "abc"
    assert row(rules, text="abcdef").reason == "text of 6 characters; at most 5"


def test_types_and_line_breaks_can_be_refused(load: Load) -> None:
    label = '[fields.label]\nrequired = true\ntypes = ["string", "integer"]'
    rules = load(
        ('line_breaks = "space"', 'line_breaks = "refuse"'),
        (label, label.replace('"string", ', "")),
        ("[fields.label]\nrequired = true", "[fields.label]\nrequired = true"),
    )
    assert row(rules, label="-3").label == "-3"
    assert row(rules, label=3).label == "3"
    assert row(rules, label="pos").reason == "label is not of type integer"
    assert row(rules, label=1, text="a\nb").reason == "a line break in the text"


def test_id_can_be_required(load: Load) -> None:
    rules = load(("required = false", "required = true"))
    assert row(rules, id=" ").reason == "empty id"
    assert row(rules, id=None).reason == "no id"


LABELS: list[tuple[object, str]] = [
    (1, "1"),
    (1.0, "1"),
    (Decimal("1.0"), "1"),
    ("1", "1"),
    ("1.0", "1"),
    ("1.00", "1"),
    (-0.0, "0"),
    ("-0", "0"),
    ("10", "10"),
    ("01", "01"),
    ("1e0", "1e0"),
    ("+1", "+1"),
    (True, "true"),
    ("True", "true"),
    ("TRUE", "true"),
    (False, "false"),
    (" pos\u00a0", "pos"),
    ("\ufeffpos", "pos"),
    ("p\u200bo\u00ads", "pos"),
    ("Cafe\u0301", "Caf\u00e9"),
    ("very\u00a0 good", "very good"),
    ("\u2764\ufe0f", "\u2764"),
    ("None of these", "None of these"),
    ("Pos", "Pos"),
]


@pytest.mark.parametrize(("value", "label"), LABELS)
def test_label_has_one_spelling(load: Load, value: object, label: str) -> None:
    assert row(load(), label=value).label == label


IDS: list[tuple[object, str]] = [
    (7, "7"),
    (7.0, "7"),
    (Decimal("7.0"), "7"),
    ("7.0", "7"),
    ("1.10", "1.10"),
    ("007", "007"),
    ("True", "True"),
    ("a  b", "a  b"),
    ("e\u0301\u200d", "\u00e9"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
]


@pytest.mark.parametrize(("value", "key"), IDS)
def test_id_has_one_spelling(load: Load, value: object, key: str) -> None:
    assert row(load(), id=value).id == key


@pytest.mark.parametrize("word", ["nan", "NaN", "NULL", "None", "\\N", "n/a", "N/A", "<NA>"])
def test_null_words_are_no_label_unless_the_contract_says_so(load: Load, word: str) -> None:
    assert f"'{word}' stands for no label" in row(load(), label=word).reason
    assert "[fields.label.values]" in row(load(), label=word).reason
    mapped = load(("[fields.label.values]", f"[fields.label.values]\n'{word}' = 'nothing'"))
    assert row(mapped, label=word).label == "nothing"


@pytest.mark.parametrize("value", [None, float("nan"), Decimal("NaN")])
def test_missing_label(load: Load, value: object) -> None:
    assert row(load(), label=value).reason in ("no label", "empty label")


@pytest.mark.parametrize("value", [0.5, "0.5", Decimal("0.50"), "-.5"])
def test_fraction_is_a_label_only_if_mapped(load: Load, value: object) -> None:
    assert "[fields.label.values]" in row(load(), label=value).reason
    mapped = load(("[fields.label.values]", "[fields.label.values]\n'0.5' = 'half'\n'-.5' = 'half'"))
    assert row(mapped, label=value).label == "half"


@pytest.mark.parametrize("value", [1e-07, "1e-07", "1E-7", "1.0e-07", Decimal("1E-7"), Decimal("0.00000010")])
def test_fraction_with_an_exponent_is_none_the_less(load: Load, value: object) -> None:
    assert "[fields.label.values]" in row(load(), label=value).reason
    for key in ("1e-07", "0.0000001"):
        mapped = load(("[fields.label.values]", f"[fields.label.values]\n'{key}' = 'small'"))
        assert row(mapped, label=value).label == "small"


@pytest.mark.parametrize("text", ["1e0", "1e+07", "12e-3", "0e-1", "e-1", "1e-", "1e-1000", "1e-07x", "1e-0"])
def test_text_like_an_exponent_is_a_label(load: Load, text: str) -> None:
    assert row(load(), label=text).label == text


def test_values_are_mapped(load: Load) -> None:
    rules = load(("[fields.label.values]", '[fields.label.values]\n"1.0" = "pos"\nTrue = "pos"\nPos = "pos"'))
    assert [row(rules, label=value).label for value in (1, "1", True, "true", "Pos")] == ["pos"] * 5
    assert row(rules, label="POS").label == "POS"


@pytest.mark.parametrize(("value", "label"), [("1.0", "1"), (1, "1"), ("True", "true"), (True, "true")])
def test_allowed_labels_may_have_any_spelling(load: Load, value: object, label: str) -> None:
    rules = load(("allowed = []", 'allowed = ["1.0", " True ", "0"]'))
    assert row(rules, label=value).label == label


def test_targets_of_values_have_one_spelling(load: Load) -> None:
    rules = load(("[fields.label.values]", '[fields.label.values]\n4 = "1.0"\n5 = " pos "\nsix = "True"'))
    assert [row(rules, label=value).label for value in ("4", "5", "six")] == ["1", "pos", "true"]


def test_values_of_split_may_have_any_case(load: Load) -> None:
    rules = load(("[files]", '[fields.split.values]\nDev = "Validation"\n[files]'))
    assert [row(rules, split=value).split for value in ("Dev", "dev", "DEV")] == ["validation"] * 3


def test_null_words_have_one_spelling(load: Load) -> None:
    rules = load(('"nil", ', '"nil", "-9.0", '))
    assert "stands for no label" in row(rules, label="-9").reason


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ('4 = "pos"\n"4.0" = "neg"', "makes '4', in several spellings, both 'pos' and 'neg'"),
        ('4 = " "', "holds ' ', of which nothing can be seen; remove it"),
    ],
)
def test_unclear_values_are_refused(load: Load, values: str, reason: str) -> None:
    with pytest.raises(ContractError, match=f"fields.label.values {reason}"):
        load(("[fields.label.values]", f"[fields.label.values]\n{values}"))
