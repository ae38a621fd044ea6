from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import TrainingDataError
from toolkit.rows import Rows, hold_out, label_indices, read, training_labels

GOOD = '{"text": "a", "label": "x"}\n'


def test_reads_every_file_of_a_channel_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/second.jsonl").write_text('{"label": "y", "text": "☃", "id": 1}')
    (tmp_path / "a.jsonl").write_text(f"{GOOD}\n \r\n{GOOD}")
    rows = read(tmp_path)
    assert rows == Rows(["a", "a", "☃"], ["x", "x", "y"])
    assert len(rows) == 3


def test_a_channel_that_is_not_there_has_no_row(tmp_path: Path) -> None:
    assert len(read(tmp_path / "none")) == 0


def test_a_lone_surrogate_becomes_a_character_that_utf8_has(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(r'{"text": "\ud800 \ud83d\ude00 \"\ud83d", "label": "\udc00"}')
    assert read(tmp_path) == Rows(['\ufffd \U0001f600 "\ufffd'], ["\ufffd"])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense", "a.jsonl, line 2: not JSON"),
        (b'{"text": "a", "label": NaN}', "a.jsonl, line 2: not JSON"),
        (b'{"text": "\\ud800", "label": NaN}', "a.jsonl, line 2: not JSON"),
        (b'{"text": "\xff", "label": "x"}', "a.jsonl, line 2: not JSON"),
        (b"[" * 100_000, "a.jsonl, line 2: not JSON"),
        (b'"\\ud800",' + b"[" * 100_000, "a.jsonl, line 2: not JSON"),
        (b"[]", "a.jsonl, line 2: not a JSON object"),
        (b'{"text": "a"}', "a.jsonl, line 2: no 'label'"),
        (b'{"text": 1, "label": "x"}', "a.jsonl, line 2: no 'text'"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD.encode() + line)
    with pytest.raises(TrainingDataError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(reason)


def test_labels_are_sorted_and_two_at_least() -> None:
    assert training_labels(Rows(["", "", ""], ["y", "x", "y"])) == ["x", "y"]
    with pytest.raises(TrainingDataError, match="the channel train has no rows"):
        training_labels(Rows())
    with pytest.raises(TrainingDataError, match="all 2 rows have the label 'x'; two are needed"):
        training_labels(Rows(["", ""], ["x", "x"]))


def test_a_label_has_its_place_or_is_refused() -> None:
    rows = Rows(["", "", ""], ["y", "x", "y"])
    assert label_indices(rows, ["x", "y"]).tolist() == [1, 0, 1]
    with pytest.raises(
        TrainingDataError, match="validation has the label 'y', which the channel train lacks"
    ):
        label_indices(rows, ["x", "z"])


def test_held_out_rows_are_a_share_of_each_label() -> None:
    actual = np.array([0] * 100 + [1] * 50 + [2] * 3)
    held = hold_out(actual, 0.2, 1)
    assert np.bincount(actual[held], minlength=3).tolist() == [20, 10, 0]
    assert (held == hold_out(actual, 0.2, 1)).all()
    assert (held != hold_out(actual, 0.2, 2)).any()
