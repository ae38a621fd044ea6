"""Every image is built, and does in it what its folder does without an engine."""

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.images import contents
from containers.tooling import build_images, image_sources
from localaws.runtimes.container import ContainerSpec, Runtime
from localaws.testing import free_port, wait_until
from tests.images.conftest import Bench, Workshop
from tests.local.containers import tiny_bert

NAMES = image_sources.image_folders(build_images.FOLDER)
# With what each trains here in seconds.
CLASSIFIERS = {
    "linear": {},
    "template": {},
    "transformer": {"epochs": "1", "learning_rate": "0.003", "max_tokens": "32"},
}
USER = "10001"
NOT_FOUND = 127  # a shell's exit code
NO_PIP = "/opt/venv/bin/python3: No module named pip"
NO_SETTINGS = "grep: /etc/pip.conf: No such file or directory"
SIZE_LIMIT = 400e6  # bytes beyond the base
MODES = {"pos": "warm kind bright", "neg": "cold cruel dull"}
HOST = "127.0.0.1"
AS_OF = "2026-11-23T04:00:00.000Z"


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def texts(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Rows that two sets of words tell apart, all but some."""
    return [
        {"id": str(i), "text": f"{MODES[label].split()[i % 3]} film {i % 7}, number {i % 11}", "label": label}
        for i in range(start, start + count)
        for label in MODES
    ]


def lay_out_training(base: Path, name: str) -> Path:
    """What SageMaker puts before `train`."""
    write_rows(base / "input/data/train/train.jsonl", texts(100))
    write_rows(base / "input/data/validation/validation.jsonl", texts(10, start=100))
    for folder in ("input/config", "model", "output/data"):
        (base / folder).mkdir(parents=True)
    (base / "input/config/hyperparameters.json").write_text(json.dumps(CLASSIFIERS[name]))
    if name == "transformer":
        tiny_bert.write(base / "input/data/pretrained")
    return base


@contextmanager
def serving(runtime: Runtime, image: str, base: Path) -> Iterator[Callable[[bytes], bytes]]:
    """A serving container, as something that answers the bodies of invocations."""
    port, lines = free_port(), list[str]()
    address = f"http://{HOST}:{port}"
    environment = {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_BIND_TO_HOST": HOST}
    container = runtime.start(ContainerSpec(image, ("serve",), base, environment, lines.append))

    def answers() -> bool:
        assert container.wait(0) is None, lines
        try:
            return bool(urllib.request.urlopen(f"{address}/ping", timeout=5).status == 200)
        except OSError:
            return False

    def invoke(body: bytes) -> bytes:
        headers = {"Content-Type": "application/jsonlines"}
        request = urllib.request.Request(f"{address}/invocations", body, headers)
        return bytes(urllib.request.urlopen(request, timeout=60).read())

    try:
        wait_until(answers)
        yield invoke
    finally:
        assert container.stop(grace=30) == 0, lines


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_built_from_its_folder(bench: Bench, name: str, tmp_path: Path) -> None:
    shown = bench.in_image(name, tmp_path, "sh", "-c", "id -u; pwd; command -v python3; ls")
    user, folder, python, *files = shown.lines
    assert (user, folder, python) == (USER, "/opt/program", "/opt/venv/bin/python3")
    own = [path.relative_to(build_images.FOLDER) for path in image_sources.files(build_images.FOLDER, name)]
    assert set(files) - {"__pycache__"} == {
        path.parts[1] for path in own if path.parts[0] == name and path.name != "Dockerfile"
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_only_a_build_needs_is_not_in_the_image(bench: Bench, name: str, tmp_path: Path) -> None:
    assert bench.in_image(name, tmp_path, "python3", "-m", "pip").lines == [NO_PIP]
    assert bench.in_image(name, tmp_path, "grep", "=", "/etc/pip.conf").lines in ([], [NO_SETTINGS])
    assert bench.in_image(name, tmp_path, "cc", "--version").code == NOT_FOUND


@pytest.mark.parametrize("name", ["linear", "processing"])
def test_an_image_is_small(workshop: Workshop, name: str) -> None:
    image = workshop.image(name)
    if not workshop.base_image:
        pytest.skip(f"{workshop.engine} does not keep the base image to compare with")
    beyond = build_images.size(workshop.engine, image) - build_images.size(
        workshop.engine, workshop.base_image
    )
    assert 0 < beyond < SIZE_LIMIT


def test_an_image_is_built_once(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    image = workshop.image("template")
    capfd.readouterr()
    assert workshop.build("template") == image
    assert capfd.readouterr().out == f"{image} is there already\n"


def test_a_copied_folder_is_built_from_itself(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Dockerfile is the template's still."""
    copied = tmp_path / "containers"
    shutil.copytree(build_images.FOLDER, copied)
    (copied / "template").rename(copied / "own")
    (copied / "own/mine.txt").touch()
    monkeypatch.setattr(build_images, "FOLDER", copied)
    shown = bench.in_image("own", tmp_path, "ls", "mine.txt")
    assert (shown.code, shown.lines) == (0, ["mine.txt"])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_model_is_the_same_in_the_image(bench: Bench, name: str, tmp_path: Path) -> None:
    inside, outside = (lay_out_training(tmp_path / place, name) for place in ("image", "folder"))
    in_image = bench.in_image(name, inside, "train")
    in_folder = bench.in_folder(name, outside, "train")
    assert in_image.code == in_folder.code == 0, in_image.lines + in_folder.lines
    assert contents(inside / "model")
    assert contents(inside / "model") == contents(outside / "model")
    assert {path.stat().st_uid for path in (inside / "model").rglob("*")} == {int(USER)}
    body = "".join(json.dumps({"text": row["text"]}) + "\n" for row in texts(5)).encode()
    with (
        serving(bench.images, bench.workshop.image(name), inside) as image,
        serving(bench.folders, name, outside) as folder,
    ):
        answer = image(body)
        assert answer == folder(body)
    assert {json.loads(line)["label"] for line in answer.splitlines()} <= set(MODES)
    if name != "transformer":  # which is far too small a one to learn anything
        assert [json.loads(line)["label"] for line in answer.splitlines()] == ["pos", "neg"] * 5


def test_linear_brings_its_compiled_code_along(bench: Bench, tmp_path: Path) -> None:
    base = lay_out_training(tmp_path, "linear")
    shown = bench.in_image("linear", base, "sh", "-c", "train > /dev/null && ls -A ~")
    assert shown.code == 0, shown.lines[-5:]
    assert ".cache" not in shown.lines  # where numba keeps what it has to compile


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_training_that_fails_in_the_image_tells_why(bench: Bench, name: str, tmp_path: Path) -> None:
    base = lay_out_training(tmp_path, name)
    (base / "input/config/hyperparameters.json").write_text('{"no_such": "1"}')
    assert bench.in_image(name, base, "train").code == 1
    assert "no_such" in (base / "output/failure").read_text()


def lay_out_dataset(base: Path) -> Path:
    """What SageMaker puts before `create_dataset`: what Athena found."""
    rows = [
        {
            "record_id": f"{row['id']}-{row['label']}",
            "event_time": "2026-11-23T03:07:15.001Z",
            "text": f"{row['text']}, row {row['id']}",
            "label": row["label"],
            "split": None,
            "source": "raw/a.csv",
        }
        for row in texts(60)
    ]
    write_rows(base / "rows.jsonl", rows)
    for name in ("records", "ingest"):
        (base / "processing/input" / name).mkdir(parents=True)
    with duckdb.connect() as database:
        found = database.read_json(str(base / "rows.jsonl"), columns=dict.fromkeys(rows[0], "VARCHAR"))
        found.write_parquet(str(base / "processing/input/records/part-0"))
    return base


def lay_out_predictions(base: Path) -> None:
    """What SageMaker puts before `evaluate`: the dataset, and answers that are wrong here and there."""
    given, made = base / "processing/input", base / "processing/output"
    for name, output in (("test", "test"), ("labels", "labels"), ("dataset", "report")):
        (made / output).rename(given / name)
    labels = [json.loads(line) for line in (given / "labels/labels.jsonl").read_text().splitlines()]
    answers = [
        {"id": row["id"], "label": label, "probabilities": {label: 0.75, other: 0.25}}
        for i, row in enumerate(labels)
        for label, other in [("pos", "neg") if (row["label"] == "pos") == bool(i % 3) else ("neg", "pos")]
    ]
    write_rows(given / "predictions/predictions.jsonl", answers)


def test_processing_does_the_same_in_the_image(bench: Bench, tmp_path: Path) -> None:
    inside, outside = (lay_out_dataset(tmp_path / place) for place in ("image", "folder"))
    for run, base in ((bench.in_image, inside), (bench.in_folder, outside)):
        done = run("processing", base, "create_dataset", AS_OF=AS_OF)
        assert done.code == 0, done.lines[-5:]
        lay_out_predictions(base)
        done = run("processing", base, "evaluate")
        assert done.code == 0, done.lines[-5:]
    statistics = [base / "processing/output/quality/statistics.json" for base in (inside, outside)]
    one, other = (json.loads(file.read_text()) for file in statistics)
    one["dataset"]["evaluation_time"] = other["dataset"]["evaluation_time"]
    assert one == other
    for file in statistics:
        file.unlink()
    made = contents(inside / "processing/output")
    assert {"quality/details.json", "quality/report.html", "train/train.jsonl"} <= set(made)
    assert made == contents(outside / "processing/output")


def test_ingest_says_in_the_image_what_it_lacks(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    done = bench.in_image("processing", tmp_path, "ingest")
    assert done.code == 1
    assert "FEATURE_GROUP_NAME" in (tmp_path / "output/message").read_text()
