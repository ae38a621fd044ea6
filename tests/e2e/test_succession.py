"""A champion gives way to a better model only, and a worse one is told by how much it falls short."""

import itertools
import random

from tests.e2e.conftest import Stack, as_csv
from tests.e2e.test_retrain import drop_as_one, output

# Each of 200 words says a label, so what a model has not seen of them it can only guess.
WORDS = [
    "".join(parts)
    for parts in itertools.product(
        ("ba", "do", "ki"), ("lo", "me", "nu"), ("ra", "si"), ("tu", "ve", "xo", "yi"), ("pa", "qe", "wo")
    )
][:200]
FILLERS = ("the", "film", "was", "seen", "by", "many", "people", "there", "then", "again")
TRAINING_ROWS = 2000
SHARE = 50  # one row in so many makes the early data


def rows(split: str, count: int) -> list[dict[str, str]]:
    chance = random.Random(split)
    made = []
    for number in range(count):
        word = chance.randrange(len(WORDS))
        text = [*chance.choices(FILLERS, k=6), WORDS[word]]
        chance.shuffle(text)
        label = "pos" if word % 2 else "neg"
        made.append({"id": f"{split}/{number}", "text": " ".join(text), "label": label, "split": split})
    return made


def test_two_percent_of_the_data_do_not_replace_what_was_trained_on_all(
    stack: Stack, live: dict[str, str]
) -> None:
    # A floor that is low enough for the comparison to be made; and ingestion by two instances.
    stack.deploy(AccuracyFloor="0.3", IngestInstanceCount="2")
    train, test = rows("train", TRAINING_ROWS), rows("test", 400)
    early, late = train[::SHARE], [row for i, row in enumerate(train) if i % SHARE]
    first = {"early.csv": as_csv(early), "test.csv": as_csv(test)}
    (before,) = stack.run_after(lambda: drop_as_one(stack, first))
    assert output(before)["outcome"]["status"] == "REJECTED"
    assert output(before)["ledger"]["records"] == len(early) + len(test)

    (better,) = stack.run_after(lambda: stack.drop("late.csv", as_csv(late)))
    assert output(better)["outcome"]["status"] == "DEPLOYED", output(better)["evaluation"]["summary"]
    champion = stack.packages()[0]["ModelPackageArn"].rpartition("model-package/")[2]
    serving = stack.serving()

    worse = stack.run({"force": True, "asOf": output(before)["plan"]["asOf"]})
    assert output(worse)["outcome"]["status"] == "REJECTED"
    summary = output(worse)["evaluation"]["summary"]
    assert champion in summary
    assert "accuracy" in summary
    assert "0.001" in summary
    assert "difference -0." in summary
    assert stack.packages()[0]["ApprovalDescription"] == summary
    assert stack.serving() == serving
    assert len(serving) == 2
