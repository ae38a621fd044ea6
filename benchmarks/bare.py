"""Run the pipeline's scripts directly, one after the other, for comparison with the pipeline's execution."""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import job
from benchmarks.containers import Containers
from benchmarks.definition import dataset_query
from benchmarks.local_aws import Group, LocalAws
from benchmarks.scoring import score

QUALITY_INPUTS = ("test", "labels")


class Bare:
    """Run the scripts with one folder per script and link files between the folders.

    Only the scripts are timed, not the links and downloads between them.
    """

    def __init__(self, aws: LocalAws, group: Group, role_arn: str, files: Iterable[Path]) -> None:
        self.seconds: dict[str, float] = {}
        self._aws, self._group, self._files = aws, group, list(files)
        self._environment = aws.environment(role_arn)
        self._folder = aws.workdir / f"bare-{group.name}"
        self._containers = Containers(aws.workdir / "environments")

    def run(self) -> dict[str, float]:
        """Run all scripts and return their seconds by the name of the corresponding pipeline step."""
        self._ingest()
        self._create_dataset()
        self._train()
        self._score()
        self._evaluate()
        return self.seconds

    def _ingest(self) -> None:
        base = self._folder / "ingest"
        job.lay_out(base, self._files)
        environment = self._environment | job.ingest_environment(self._group)
        self._timed(
            "IngestRecords", lambda: self._containers.run("processing", ["ingest"], base, environment)
        )

    def _create_dataset(self) -> None:
        base, query = self._folder / "dataset", dataset_query(self._group.table, job.EVENT_TIME)
        keys: list[str] = []
        self._timed(
            "CreateDataset", lambda: keys.extend(self._aws.unload(self._group, query, self._group.name))
        )
        self._aws.download(keys, base / "processing/input/records")
        environment = self._environment | {"AS_OF": job.EVENT_TIME}
        self._timed(
            "CreateDataset", lambda: self._containers.run("processing", ["create_dataset"], base, environment)
        )

    def _train(self) -> None:
        base = self._folder / "train"
        for channel in ("train", "validation"):
            link(self._dataset_output(channel), base / "input/data" / channel)
        self._timed("TrainModel", lambda: self._containers.run("linear", ["train"], base, self._environment))

    def _score(self) -> None:
        base = self._folder / "serve"
        link(self._folder / "train/model", base / "model")
        rows = self._dataset_output("test") / "test.jsonl"
        predictions = self._folder / "predictions/test.jsonl.out"
        self._timed(
            "ScoreTestSplit",
            lambda: score(self._containers, "linear", base, rows, predictions, self._environment),
        )

    def _evaluate(self) -> None:
        base = self._folder / "evaluate"
        inputs = base / "processing/input"
        link(self._folder / "predictions", inputs / "predictions")
        link(self._dataset_output("report"), inputs / "dataset")
        for name in QUALITY_INPUTS:
            link(self._dataset_output(name), inputs / name)
        self._timed(
            "EvaluateQuality",
            lambda: self._containers.run("processing", ["evaluate"], base, self._environment),
        )

    def _dataset_output(self, output: str) -> Path:
        return self._folder / "dataset/processing/output" / output

    def _timed(self, step: str, work: Callable[[], object]) -> None:
        started = time.monotonic()
        work()
        self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - started
        print(f"  {step} by hand: {self.seconds[step]:.2f} s", flush=True)


def link(source: Path, target: Path) -> None:
    """Provide a script's output as another's input with hard links instead of a copy."""
    shutil.copytree(source, target, copy_function=os.link)
