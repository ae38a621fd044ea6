"""Models that must not go live: judged by too few rows, or always giving the most frequent label.

The stack has the template's own bounds, and every model is trained by the container `linear`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Stack, as_csv, deployed, sample_rows

Rows = list[dict[str, str]]
TRAIN = [row for row in sample_rows() if row["split"] == "train"]
TEST = [row for row in sample_rows() if row["split"] == "test"]
NEG = [row["text"] for row in TRAIN if row["label"] == "neg"]
POS = [row["text"] for row in TRAIN if row["label"] == "pos"]


@pytest.fixture(scope="module")
def strict() -> Iterator[Stack]:
    """A stack that judges by as many rows as the template asks for."""
    with deployed(ROOT, MinTestRows="200", MinTestRowsPerLabel="20", MaxTuningJobs="1") as stack:
        yield stack


def drop(stack: Stack, name: str, rows: Rows) -> dict[str, Any]:
    """The output of the run that a file starts."""
    (execution,) = stack.run_after(lambda: stack.drop(name, as_csv(rows)))
    assert execution["status"] == "SUCCEEDED", execution
    found: dict[str, Any] = json.loads(execution["output"])
    return found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    """The verdict of each row of the table."""
    return {row["metric"]: row["verdict"] for row in found["evaluation"]["table"]}


def made(prefix: str, texts: list[str], count: int, label: str, split: str) -> Rows:
    """Rows of these texts, each with a mark that makes it another one."""
    return [
        {
            "id": f"{prefix}/{number}",
            "text": f"{texts[number % len(texts)]} ({prefix} {number})",
            "label": label,
            "split": split,
        }
        for number in range(count)
    ]


def test_a_first_model_on_one_test_row_is_deployed_and_reported_as_such(strict: Stack) -> None:
    found = drop(strict, "first.csv", [*TRAIN, TEST[0]])
    assert found["outcome"]["status"] == "DEPLOYED"
    assert "as the first model, judged on 1 rows only" in found["evaluation"]["summary"]
    assert verdicts(found)["test_rows"] == "few rows"
    assert {item["label"] for item in found["ledger"]["newLabels"]} == {"neg", "pos"}
    assert len(strict.serving()) == 2


def test_one_test_row_replaces_no_live_model(strict: Stack) -> None:
    before = strict.serving()
    assert len(before) == 2
    more = made("more", POS, 30, "pos", "train") + made("like", POS, 3, "POS", "train")
    found = drop(strict, "more.csv", more)
    assert found["outcome"]["status"] == "REJECTED"
    assert found["evaluation"]["verdict"] == "not enough test rows"
    assert "199" in found["evaluation"]["summary"]
    assert strict.serving() == before
    assert found["ledger"]["heldLabels"] == [{"label": "POS", "like": "pos", "rows": 3}]
    assert "'POS' (3), like 'pos'" in found["ledger"]["summary"]
    assert found["ledger"]["newLabels"] == []


def test_a_model_that_always_answers_the_most_frequent_label_is_rejected(strict: Stack) -> None:
    """It is more accurate than the live model, which knows both labels."""
    before = strict.serving()
    assert len(before) == 2
    one_label = [row | {"label": "pos"} for row in TRAIN]
    vague = made("vague", ["One more film."], 10, "neg", "train")
    tests = [
        *made("clear", POS, 334, "pos", "test"),
        *made("mixed", NEG, 46, "pos", "test"),
        *made("bad", NEG[50:], 20, "neg", "test"),
    ]
    found = drop(strict, "majority.csv", [*one_label, *vague, *tests])
    table = verdicts(found)
    passed = {name for name, verdict in table.items() if verdict == "pass"}
    assert {"accuracy", "weighted_f1", "improvement", "p_value", "test_rows", "test_rows_per_label"} <= passed
    assert {name for name, verdict in table.items() if verdict == "fail"} == {
        "constant_p_value",
        "label_recall_loss",
        "macro_f1_loss",
    }
    assert found["evaluation"]["verdict"] == "model rejected"
    assert found["outcome"]["status"] == "REJECTED"
    assert strict.serving() == before
