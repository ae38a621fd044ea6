"""The parts of the benchmarks that need no measurement: rows, ratios, bounds and command lines."""

import csv
import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from benchmarks import bare, command, definition, engine, growth, ingestion, job, memory, report, rows
from benchmarks.errors import BenchmarkError, DataError
from benchmarks.growth import Cost, Step
from benchmarks.ingestion import Way
from benchmarks.local_aws import BUCKET, Group
from benchmarks.report import Bound, Report
from benchmarks.rows import Row

ROWS = [Row("1", "good film", "pos"), Row("2", "bad film", "neg")]
GROUP = Group("records", "sagemaker_featurestore", "records_1")


def write_rows(path: Path, pack: Callable[[bytes], bytes] = lambda content: content) -> Path:
    plain = path.with_name("plain.csv")
    rows.write(plain, ROWS)
    path.write_bytes(pack(plain.read_bytes()))
    if plain != path:
        plain.unlink()
    return path


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("rows.csv", bytes),
        ("rows.csv.gz", gzip.compress),
        ("rows.csv.zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_rows_are_read_plain_or_compressed(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    assert list(rows.read(write_rows(tmp_path / name, pack))) == ROWS


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    rows.write(tmp_path / "b.csv", ROWS[1:])
    rows.write(tmp_path / "a.csv", ROWS[:1])
    (tmp_path / "notes.txt").write_text("no rows")
    assert list(rows.read(tmp_path)) == ROWS


def test_a_text_is_joined_to_one_line(tmp_path: Path) -> None:
    rows.write(tmp_path / "a.csv", [Row("1", "one\ntwo\r\nthree", "pos")])
    [row] = rows.read(tmp_path)
    assert row.text == "one two three"


def test_invalid_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is not a CSV file"):
        rows.load(tmp_path / "nowhere")
    (tmp_path / "a.csv").write_text("id,review\n1,good\n")
    with pytest.raises(DataError, match=r"a\.csv has no column label, text"):
        rows.load(tmp_path)
    (tmp_path / "a.csv").write_text("id,text,label\n")
    with pytest.raises(DataError, match="contains no row"):
        rows.load(tmp_path)


def test_loaded_rows_are_shuffled_reproducibly(tmp_path: Path) -> None:
    rows.write(tmp_path / "a.csv", (Row(str(number), "a text", "pos") for number in range(100)))
    loaded = rows.load(tmp_path)
    assert loaded == rows.load(tmp_path)
    assert loaded != sorted(loaded)
    assert sorted(int(row.id) for row in loaded) == list(range(100))


def test_generated_rows_are_as_long_as_film_reviews() -> None:
    made = list(rows.generate(2000))
    assert made == list(rows.generate(2000))
    assert len({row.id for row in made}) == len({row.text for row in made}) == 2000
    assert {row.label for row in made} == set(rows.LABELS)
    lengths = [len(row.text) for row in made]
    assert statistics.median(lengths) == pytest.approx(rows.MEDIAN_CHARACTERS, rel=0.1)
    assert statistics.mean(lengths) == pytest.approx(1309, rel=0.1)  # of the reviews themselves


def test_generated_labels_can_be_learned() -> None:
    made = list(rows.generate(200))
    words = {
        label: {word for row in made if row.label == label for word in row.text.split()}
        for label in rows.LABELS
    }
    assert words["neg"] - words["pos"]


def test_copies_have_unique_ids_and_texts() -> None:
    copied = list(rows.replicate(ROWS, 50))
    assert copied[:2] == ROWS
    assert len({row.id for row in copied}) == len({row.text for row in copied}) == 50
    assert [row.label for row in copied] == ["pos", "neg"] * 25
    assert {"good", "film"} <= set(copied[2].text.split())
    assert len(copied[2].text.split()) == 3


def test_replicate_can_return_fewer_rows() -> None:
    assert list(rows.replicate(ROWS, 1)) == ROWS[:1]


def test_a_written_file_is_valid_csv(tmp_path: Path) -> None:
    row = Row("1", 'He said "no, thanks"', "neg")
    size = rows.write(tmp_path / "new/rows.csv", [row])
    with (tmp_path / "new/rows.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [row._asdict()]
    assert size == (tmp_path / "new/rows.csv").stat().st_size


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0666, "1.07"), (25, "25.0"), (99.4, "99.4"), (1250.4, "1,250"), (0.004, "0.00"), (9.994, "9.99")],
)
def test_a_ratio_has_three_significant_digits(value: float, text: str) -> None:
    assert report.ratio(value) == text


@pytest.mark.parametrize(
    ("value", "at_least", "held"),
    [(20, True, True), (19.99, True, False), (1.15, False, True), (1.151, False, False)],
)
def test_a_bound_includes_its_limit(value: float, at_least: bool, held: bool) -> None:
    limit = 20 if at_least else 1.15
    bound = Bound("times the peer", value, limit, at_least)
    assert bound.held is held
    assert str(bound).startswith("held" if held else "MISSED")


def test_a_bound_names_ratio_peer_and_limit() -> None:
    bound = Bound("times fewer calls than PutRecord", 25, 20, at_least=True)
    assert str(bound) == "held    times fewer calls than PutRecord: 25.0 (at least 20.0)"


def test_a_missed_bound_is_in_the_exit_code_and_the_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Report("engine", "2 rows", {"all": 2.5}, [Bound("a", 1, 2), Bound("b", 3, 2)])
    assert found.conclude(tmp_path / "engine.json") == 1
    content = json.loads((tmp_path / "engine.json").read_text())
    assert [bound["held"] for bound in content["bounds"]] == [True, False]
    assert content["figures"] == {"all": 2.5}
    assert "cores" in content["machine"]
    assert "MISSED  b: 3.00 (at most 2.00)" in capsys.readouterr().out
    assert Report("engine", "", bounds=[Bound("a", 1, 2)]).conclude(None) == 0


def test_a_table_is_aligned_markdown() -> None:
    assert report.table(("", "s", "rows"), [("a", 1.25, 1000), ("bcd", 12345.6, "x")]).splitlines() == [
        "|     |      s |  rows |",
        "|-----|-------:|------:|",
        "| a   |    1.2 | 1,000 |",
        "| bcd | 12,346 |     x |",
    ]


@pytest.mark.parametrize("module", [ingestion, growth, engine])
def test_every_benchmark_has_a_help_text(module: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])  # type: ignore[attr-defined]
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert all(option in output for option in ("--data", "--json", "--rows", "exit codes:"))


@pytest.mark.parametrize("arguments", [["--rows", "0"], ["--rows", "many"], ["--unknown"]])
def test_an_invalid_command_line_is_an_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        ingestion.main(arguments)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_growth_needs_two_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        growth.main(["--rows", "100", "100"])
    assert "two sizes or more" in capsys.readouterr().err


def test_options() -> None:
    options = ingestion.parser().parse_args(["--data", "some/folder", "--rows", "5", "--no-sdk"])
    assert (options.data, options.rows, options.sdk, options.json) == (Path("some/folder"), 5, False, None)
    assert tuple(growth.parser().parse_args([]).rows) == (25_000, 100_000, 400_000)
    assert engine.parser().parse_args(["--rounds", "3"]).rounds == 3


def test_ingestion_compares_the_first_way_with_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    found = Report("ingestion", "")
    ways = [Way("ingest", 40, 2.0, 4.0), Way("loop", 1000, 9.0, 12.0), Way("sdk", 1000, 5.0, 6.0)]
    ingestion.conclude(found, ways, 1000)
    assert [(bound.value, bound.held) for bound in found.bounds] == [(25, True), (4.5, False)]
    table = capsys.readouterr().out
    assert "| loop   |     1,000 |             9.0 |       111 |            12.0 | 25.0 x | 4.50 x |" in table


def test_the_exponent_of_growth() -> None:
    assert growth.exponent((25_000, 10), (400_000, 160)) == pytest.approx(1)
    assert growth.exponent((100, 1), (1000, 100)) == pytest.approx(2)
    assert growth.exponent((100, 7), (1000, 7)) == 0


def test_growth_bounds_compare_the_smallest_with_the_largest_size(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        Step(100, 1.0, Cost(1, 50), 0.1, Cost(1, 100), 200),
        Step(200, 2.0, Cost(2, 60), 0.1, Cost(1, 150), 300),
        Step(400, 4.0, Cost(4, 70), 0.1, Cost(16, 160), 400),
    ]
    found = Report("growth", "")
    growth.conclude(found, steps)
    assert [(round(bound.value, 3), bound.held) for bound in found.bounds] == [
        (1, True),
        (1.4, True),
        (2, False),
        (1.6, False),
    ]
    output = capsys.readouterr().out
    assert "create_dataset: time grows by rows^4.00 from 200 to 400 rows" in output


def test_engine_compares_totals_and_steps(capsys: pytest.CaptureFixture[str]) -> None:
    found = Report("engine", "")
    execution = {"IngestRecords": 4.0, "RegisterModel": 0.5, "all": 5.0}
    engine.conclude(found, execution, {"IngestRecords": 3.0, "all": 3.0})
    [bound] = found.bounds
    assert bound.value == pytest.approx(5 / 3)
    assert not bound.held
    output = capsys.readouterr().out
    assert "| IngestRecords     |        4.00 |      3.00 |   1.00 |  1.33 |" in output
    assert "| between the steps |        0.50 |           |   0.50 |       |" in output


def test_rounds_are_summarized_by_medians() -> None:
    assert engine.medians([{"all": 1.0}, {"all": 9.0}, {"all": 2.0}]) == {"all": 2.0}


def test_the_query_by_hand_is_the_pipeline_s() -> None:
    query = definition.dataset_query("records_1", job.EVENT_TIME)
    assert 'FROM "records_1"' in query
    assert f"event_time <= '{job.EVENT_TIME}'" in query
    assert query.endswith("WHERE version = 1 AND NOT is_deleted")


def test_a_job_by_hand_has_the_pipeline_s_environment(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("id,text,label\n")
    job.lay_out(tmp_path / "job", [file])
    inputs = tmp_path / "job/processing/input"
    [planned] = json.loads((inputs / "plan/plan.json").read_text())["objects"]
    assert (inputs / "raw" / planned["key"]).read_text() == file.read_text()
    [step] = [
        step
        for step in json.loads(definition.body(engine.settings(GROUP, "role")))["Steps"]
        if step["Name"] == "IngestRecords"
    ]
    environment = job.ingest_environment(GROUP)
    # Without a bucket the job reads the folder of its input.
    assert set(step["Arguments"]["Environment"]) == {"BUCKET_NAME", *environment}
    assert environment["ATHENA_OUTPUT_URI"].startswith(f"s3://{BUCKET}/")


def test_an_output_is_linked_as_an_input(tmp_path: Path) -> None:
    made = tmp_path / "made/deep"
    made.mkdir(parents=True)
    (made / "file").write_text("content")
    bare.link(tmp_path / "made", tmp_path / "next/input")
    assert (tmp_path / "next/input/deep/file").samefile(made / "file")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak needs /proc")
def test_the_peak_is_measured_after_the_memory_was_freed() -> None:
    script = "held = b'x' * 100_000_000; del held; print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        with memory.Watch(process.pid) as watch:
            pass
        process.communicate(b"\n")
    assert 100 < watch.megabytes < 200


def test_exit_codes_of_errors_and_interruptions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails() -> int:
        raise BenchmarkError("no localaws")

    def terminates() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    found = signal.getsignal(signal.SIGTERM)
    try:
        for measure, code in ((lambda: 1, 1), (fails, 2), (terminates, 130)):
            with pytest.raises(SystemExit) as ended:
                command.run(measure)
            assert ended.value.code == code
    finally:
        signal.signal(signal.SIGTERM, found)
    assert "error: no localaws" in capsys.readouterr().err
