import json

import pytest

from processing import errors


def test_message_holds_as_many_files_as_fit() -> None:
    message = errors.RejectedFilesError([(f"{i}.csv", "é" * 30) for i in range(50)]).message()
    content = json.loads(message)
    assert len(message.encode()) <= 1024
    assert len(content["rejected"]) + content["more"] == 50
    assert len(content["rejected"]) == 10
    assert content["rejected"][0] == {"file": "0.csv", "reason": "é" * 30}
    long = errors.error_message("é" * 5000)
    assert 1000 < len(long.encode()) <= 1024
    assert json.loads(long)["error"].endswith("é…")


@pytest.mark.parametrize("name", ["评" * 160 + ".csv", "/".join(["评" * 66] * 4), '"' * 399])
@pytest.mark.parametrize("others", [0, 1, 100_000])
def test_message_names_one_file_however_long_its_name_and_reason(name: str, others: int) -> None:
    rejected = [(name, "not UTF-8 text, " * 40), *[("b" * 700 + ".csv", "empty file")] * others]
    message = errors.RejectedFilesError(rejected).message()
    content = json.loads(message)
    assert len(message.encode()) <= 1024
    assert [entry["file"] for entry in content["rejected"]] == [name]
    assert len(content["rejected"][0]["reason"]) > 100
    assert content.get("more", 0) == others


def test_message_of_a_name_that_is_too_long() -> None:
    message = errors.RejectedFilesError([("a/" * 505 + ".csv", "empty file")]).message()
    assert len(message.encode()) <= 1024
    assert json.loads(message)["error"].startswith("a/a/")
