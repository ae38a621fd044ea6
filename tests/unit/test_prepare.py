import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import zstandard

FOLDER = Path(__file__).parents[2] / "containers/processing"
LoadModule = Callable[[str | Path], ModuleType]
Record = dict[str, Any]


def to_csv(rows: list[Record], header: list[str] | None = None) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, header or list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue().encode()


def to_json_lines(rows: list[Record]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def record(key: str, label: str = "pos", **more: Any) -> Record:
    return {"id": key, "text": f"text of {key}", "label": label} | more


GOOD = [record("train/1"), record("train/2", "neg"), record("test/3"), record("test/4", "neg")]


class Job:
    def __init__(self, base: Path, dataset: ModuleType) -> None:
        self.base, self.dataset = base, dataset
        self.raw = base / "processing/input/raw"
        self.raw.mkdir(parents=True)

    def put(self, name: str, content: bytes) -> None:
        (self.raw / name).parent.mkdir(parents=True, exist_ok=True)
        (self.raw / name).write_bytes(content)

    def plan(self, *names: str) -> None:
        """The manifest that the files came by."""
        manifest = self.base / "processing/input/plan/manifest.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps([{"prefix": "s3://data/raw/"}, *names]))

    def run(self) -> None:
        self.dataset.prepare(self.base)

    def rows(self, name: str) -> list[Record]:
        content = (self.base / f"processing/output/{name}/{name}.jsonl").read_bytes()
        return [json.loads(line) for line in content.splitlines()]

    def report(self) -> Record:
        content: Record = json.loads((self.base / "processing/output/report/dataset.json").read_text())
        return content

    def reason(self, content: bytes) -> str:
        """The reason for which a file of this content is rejected."""
        self.put("bad.csv", content)
        with pytest.raises(self.dataset.RejectedFilesError) as caught:
            self.run()
        [(file, reason)] = caught.value.rejected
        assert file == "bad.csv"
        return str(reason)


@pytest.fixture
def job(tmp_path: Path, load_module: LoadModule) -> Job:
    return Job(tmp_path, load_module(FOLDER / "dataset.py"))


@pytest.mark.parametrize("encode", [to_csv, to_json_lines])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_reads_each_format_whatever_its_name(
    job: Job, encode: Callable[[list[Record]], bytes], compress: Callable[[bytes], bytes]
) -> None:
    job.put("deep/er/reviews.data", compress(encode(GOOD)))
    job.run()
    assert job.rows("train") == GOOD[:2]
    assert job.rows("test") == [{"id": row["id"], "text": row["text"]} for row in GOOD[2:]]
    assert job.rows("labels") == [{"id": row["id"], "label": row["label"]} for row in GOOD[2:]]
    assert job.report() == {
        "train": 2,
        "test": 2,
        "labels": {"neg": 2, "pos": 2},
        "files": [{"file": "deep/er/reviews.data", "rows": 4}],
        "replacedById": 0,
        "trainTextsAlsoInTest": 0,
    }


def test_reads_frames_after_one_another(job: Job) -> None:
    content = to_csv(GOOD)
    job.put("a.zst", zstandard.compress(content[:40]) + zstandard.compress(content[40:]))
    job.run()
    assert job.report()["train"] == 2


def test_reads_more_than_one_block(job: Job) -> None:
    rows = [*GOOD, *(record(f"train/many/{i}", text=os.urandom(400).hex()) for i in range(1000))]
    job.put("a.zst", zstandard.compress(to_csv(rows)))
    job.run()
    assert job.rows("train") == rows[:2] + rows[4:]


def test_keeps_texts_with_quotes_line_ends_and_other_scripts(job: Job) -> None:
    text = 'He said "no",\r\nthen\nleft. 悪い 🎬'
    job.put("a.csv", b"\xef\xbb\xbf" + to_csv([*GOOD, record("train/5", text=text)]))
    job.run()
    assert job.rows("train")[-1]["text"] == text


def test_blank_lines_and_other_columns_are_passed_over(job: Job) -> None:
    content = to_csv([row | {"stars": 3} for row in GOOD])
    job.put("a.csv", b"\n" + content.replace(b"\r\n", b"\n\n"))
    job.run()
    assert job.report()["train"] == 2


def test_numbers_may_be_ids_and_labels(job: Job) -> None:
    rows = [
        {"id": i, "text": f"text {i}", "label": i % 2, "split": "train" if i < 3 else "test"}
        for i in range(5)
    ]
    job.put("a.jsonl", to_json_lines(rows))
    job.run()
    assert job.rows("labels") == [{"id": "3", "label": "1"}, {"id": "4", "label": "0"}]


def test_split_column_wins_over_id_and_id_over_hash(job: Job) -> None:
    rows = [
        record("test/a", split="Train "),
        record("train/b", split="test"),
        record("train/c", "neg", split=""),
    ]
    job.put("a.csv", to_csv(rows))
    job.run()
    assert [row["id"] for row in job.rows("train")] == ["test/a", "train/c"]
    assert [row["id"] for row in job.rows("test")] == ["train/b"]


def test_hash_takes_about_a_fifth_for_testing_and_always_the_same(job: Job) -> None:
    job.put("a.csv", to_csv([record(f"review-{i}", "pos" if i % 2 else "neg") for i in range(2000)]))
    job.run()
    first = job.rows("test")
    assert 330 < len(first) < 470
    job.run()
    assert job.rows("test") == first


def test_later_row_and_later_file_replace_earlier_ones(job: Job) -> None:
    job.put("a.csv", to_csv([*GOOD, record("train/1", text="corrected once")]))
    job.put("b.jsonl", to_json_lines([record("train/1", text="corrected twice")]))
    job.run()
    assert [row for row in job.rows("train") if row["id"] == "train/1"] == [
        {"id": "train/1", "text": "corrected twice", "label": "pos"}
    ]
    assert job.report()["replacedById"] == 2


def test_order_of_arrival_wins_over_the_order_of_names(job: Job) -> None:
    job.put("b.csv", to_csv(GOOD))
    job.put("a.jsonl", to_json_lines([record("train/1", text="arrived first")]))
    job.put("c.jsonl", to_json_lines([record("train/2", "neg", text="not in the manifest")]))
    job.plan("a.jsonl", "b.csv")
    job.run()
    texts = {row["id"]: row["text"] for row in job.rows("train")}
    assert texts["train/1"] == "text of train/1"
    assert texts["train/2"] == "not in the manifest"


def test_text_of_a_test_row_never_stays_in_train(job: Job) -> None:
    job.put("a.csv", to_csv([*GOOD, record("train/9", text="text of test/3")]))
    job.run()
    assert "train/9" not in {row["id"] for row in job.rows("train")}
    assert job.report()["trainTextsAlsoInTest"] == 1


def test_text_of_a_replaced_test_row_may_be_in_train(job: Job) -> None:
    job.put("a.csv", to_csv([*GOOD, record("train/9", text="text of test/3"), record("test/3", text="new")]))
    job.run()
    assert "train/9" in {row["id"] for row in job.rows("train")}


HEADER = b"id,text,label\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b" \n\n", "empty file"),
        (gzip.compress(b""), "empty file"),
        (HEADER, "no rows under the header"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8 text: byte 0x89 at offset 0"),
        (HEADER + b"1,caf\xe9,pos\n", "not UTF-8 text: byte 0xe9 at offset 19"),
        (HEADER + b"1,a\x00b,pos\n", "not text: NUL byte at offset 17"),
        (HEADER.decode().encode("utf-16"), "UTF-16 text"),
        (b"id;text;label\n1;a;pos\n", "the columns are id;text;label; id,text,label[,split] are needed"),
        (b"id,text,text,label\n1,a,b,pos\n", "the columns are id,text,text,label"),
        (b"id,text\n1,a\n", "the columns are id,text;"),
        (HEADER + b"1,a,pos\n2,b\n", "line 3: 2 columns where the header has 3"),
        (HEADER + b'1,"a\nb",pos\n2,c,d,pos\n', "line 4: 4 columns where the header has 3"),
        (HEADER + b'1,"a,pos\n', "line 2: not CSV: unexpected end of data (a quote that is not closed?)"),
        (HEADER + b'1,"' + b"a\n" * 600_000, "line 2: not CSV: field larger than field limit"),
        (HEADER + b"1, ,pos\n", "line 2: empty text"),
        (HEADER + b"1,a,\n", "line 2: empty label"),
        (HEADER + b",a,pos\n", "line 2: empty id"),
        (HEADER + b"1,a," + b"p" * 300 + b"\n", "line 2: label of 300 characters; at most 256"),
        (b"id,text,label,split\n1,a,pos,dev\n", "line 2: unknown split 'dev'; use train or test"),
        (b'[{"id": "1"}]', "a JSON array; write JSON Lines"),
        (b'{"id": "1", "text": "a", "label": "pos"}\n{"id": "2", "text": "b"}\n', "line 2: no label"),
        (b'{"id": "1", "text": null}\n', "line 1: no text and no label"),
        (b'{"id": "1", "text": 5, "label": "pos"}\n', "line 1: text is not a string"),
        (b'{"id": true, "text": "a", "label": "pos"}\n', "line 1: id is not a string"),
        (b'{"id": "1", "text": "\\ud83d", "label": "pos"}\n', "line 1: text holds half a surrogate pair"),
        (b'\n{"id": "1", "text": "a", "label": "pos"}\nnonsense\n', "line 3: not JSON"),
        (b'{"id": "1", "text": "a", "label": "pos"}\n[1]\n', "line 2: not a JSON object"),
        (b'{"id":' + b"[" * 100_000 + b"\n", "line 1: not JSON"),
        (gzip.compress(HEADER * 1000)[:-9], "damaged gzip data"),
        (gzip.compress(HEADER)[:-8] + b"12345678", "damaged gzip data: CRC check failed"),
        (zstandard.compress(HEADER * 1000)[:-3], "damaged zstd data: the file ends too early"),
        (zstandard.compress(HEADER) + b"garbage", "damaged zstd data"),
    ],
)
def test_rejects_what_it_cannot_read_with_the_reason(job: Job, content: bytes, reason: str) -> None:
    assert job.reason(content).startswith(reason)


def test_stops_at_a_decompression_bomb(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["lines"], "FILE_BYTES", 10_000)
    assert (
        job.reason(zstandard.compress(HEADER + b"1,a,pos\n" * 1_000_000))
        == "more than 10,000 bytes; split the file"
    )


def test_stops_at_a_line_without_end(job: Job) -> None:
    bomb = zstandard.compress(b'{"id": "' + bytes(64 << 20))
    assert job.reason(bomb) == "a line of more than 8,388,608 bytes at offset 0"


def test_looks_at_all_files_before_it_fails(job: Job) -> None:
    job.put("a.csv", b"")
    job.put("b.csv", to_csv(GOOD))
    job.put("c/d.csv", b"\xff")
    with pytest.raises(job.dataset.RejectedFilesError) as caught:
        job.run()
    assert caught.value.rejected == [
        ("a.csv", "empty file"),
        ("c/d.csv", "not UTF-8 text: byte 0xff at offset 0"),
    ]
    assert not (job.base / "processing/output").exists()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (GOOD[2:], "no row is left to train with"),
        (GOOD[:2], "no row is left to test with"),
        ([GOOD[0], GOOD[2]], "every row to train with has the label 'pos'"),
        (
            [*GOOD, *(record(f"train/{i}", f"label {i}") for i in range(10, 130))],
            "122 different labels, at most 100",
        ),
    ],
)
def test_refuses_rows_that_make_no_dataset(job: Job, rows: list[Record], reason: str) -> None:
    job.put("a.csv", to_csv(rows))
    with pytest.raises(job.dataset.DatasetError, match=reason) as caught:
        job.run()
    assert json.loads(caught.value.message())["error"].startswith(reason)


def test_message_holds_as_many_files_as_fit(load_module: LoadModule) -> None:
    errors = load_module(FOLDER / "errors.py")
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
def test_message_names_one_file_however_long_its_name_and_reason(
    load_module: LoadModule, name: str, others: int
) -> None:
    errors = load_module(FOLDER / "errors.py")
    rejected = [(name, "not UTF-8 text, " * 40), *[("b" * 700 + ".csv", "empty file")] * others]
    message = errors.RejectedFilesError(rejected).message()
    content = json.loads(message)
    assert len(message.encode()) <= 1024
    assert [entry["file"] for entry in content["rejected"]] == [name]
    assert len(content["rejected"][0]["reason"]) > 100
    assert content.get("more", 0) == others


def test_message_tells_of_a_name_that_no_message_holds(load_module: LoadModule) -> None:
    errors = load_module(FOLDER / "errors.py")
    message = errors.RejectedFilesError([("a/" * 505 + ".csv", "empty file")]).message()
    assert len(message.encode()) <= 1024
    assert json.loads(message)["error"].startswith("a/a/")


def test_largest_text_of_any_script_fits_in_a_request_of_batch_transform(job: Job) -> None:
    largest = record("test/5", text="🎬" * (1 << 20), label="🎬" * 256)
    job.put("a.jsonl", to_json_lines(GOOD) + json.dumps(largest, ensure_ascii=False).encode())
    job.run()
    assert job.rows("test")[-1] == {"id": "test/5", "text": largest["text"]}
    lines = (job.base / "processing/output/test/test.jsonl").read_bytes().splitlines()
    assert max(map(len, lines)) < 5 << 20


def test_text_that_json_makes_too_large_is_refused(job: Job) -> None:
    content = to_json_lines([record("test/5", text="\x01" * 900_000)])
    assert job.reason(content) == "line 1: text of 5,400,002 bytes as JSON; at most 5,000,000"


def test_line_separators_in_a_text_end_no_line(job: Job) -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive"
    job.put("a.csv", to_csv([*GOOD, record("train/5", text=text)]))
    job.run()
    assert job.rows("train")[-1]["text"] == text


def execute(base: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "prepare")]
    environment = os.environ | {"SAGEMAKER_BASE_DIR": str(base)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_executable_writes_the_dataset(job: Job) -> None:
    job.put("a.csv", to_csv(GOOD))
    assert execute(job.base).returncode == 0
    assert job.report()["test"] == 2
    assert not (job.base / "output/message").exists()


def test_executable_leaves_the_exit_message(job: Job) -> None:
    job.put("noise.csv", b"\x89noise")
    done = execute(job.base)
    assert done.returncode == 1
    assert json.loads((job.base / "output/message").read_text()) == {
        "rejected": [{"file": "noise.csv", "reason": "not UTF-8 text: byte 0x89 at offset 0"}]
    }
    assert "noise.csv: not UTF-8 text" in done.stderr


def test_executable_names_a_file_of_another_script(job: Job) -> None:
    name = "/".join(["评" * 80] * 3) + ".csv"
    job.put(name, b"")
    assert execute(job.base).returncode == 1
    message = (job.base / "output/message").read_bytes()
    assert json.loads(message) == {"rejected": [{"file": name, "reason": "empty file"}]}
    assert len(message) <= 1024


def test_executable_says_so_when_there_is_no_file(job: Job) -> None:
    assert execute(job.base).returncode == 1
    assert json.loads((job.base / "output/message").read_text()) == {"error": "there is no raw file"}
