"""A training job as SageMaker lays it out under /opt/ml."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from toolkit import rows
from toolkit.errors import ContainerError

OPT_ML = "/opt/ml"


@dataclass(frozen=True, slots=True)
class Resources:
    """The instances of a job, and which of them this is."""

    current_host: str = "algo-1"
    hosts: tuple[str, ...] = ("algo-1",)
    network_interface_name: str = "lo"


@dataclass(frozen=True)
class Job:
    """What a training job is content and where it leaves what it made.

    Attributes:
        base: /opt/ml.
        name: The job's; it is the same after an interruption.
        interrupted: Set when SageMaker asks the job to stop (a spot interruption, StopTrainingJob). To be
            asked by `is_set`: a `wait` of the main thread's may hold what the signal's handler waits for.
    """

    base: Path = Path(OPT_ML)
    name: str = field(default_factory=lambda: os.environ.get("TRAINING_JOB_NAME", "job"))
    interrupted: Event = field(default_factory=Event)
    started: float = field(default_factory=monotonic)

    @cached_property
    def hyperparameters(self) -> Mapping[str, str]:
        """Names and values as they were content, all strings."""
        return self._config("hyperparameters.json")

    @cached_property
    def resources(self) -> Resources:
        """From resourceconfig.json; without it this is the only instance."""
        content = self._config("resourceconfig.json")
        values = {name: content[name] for name in Resources.__slots__ if name in content}
        if "hosts" in values:
            values["hosts"] = tuple(values["hosts"])
        return Resources(**values)

    @property
    def model_dir(self) -> Path:
        """What it holds when the job ends is the model's archive."""
        return self._folder("model")

    @property
    def checkpoint_dir(self) -> Path:
        """What it holds outlives an interruption: SageMaker keeps it in step with S3.

        It is the job's own: the trainings of a search share one place in S3, and each gets all that is there.
        """
        return self._folder(f"checkpoints/{self.name}")

    def channel(self, name: str) -> Path:
        """An input channel's folder, which may not be there."""
        return self.base / "input/data" / name

    def read(self, name: str) -> rows.Rows:
        """The labelled texts of a channel; none if it is not there.

        Raises:
            TrainingDataError: A line is not an object with a text and a label.
        """
        return rows.read(self.channel(name))

    def report(self, split: str, **values: float) -> None:
        """Log metrics as SageMaker's regular expressions find them: ``validation:accuracy=0.9234;``."""
        pairs = (
            f"{name}={value}" if isinstance(value, int) else f"{name}={value:.6f}"
            for name, value in values.items()
        )
        self.log(" ".join(f"{split}:{pair};" for pair in pairs))

    def log(self, message: str) -> None:
        """Print a line with the seconds since the job started."""
        print(f"[{monotonic() - self.started:6.1f}s] {message}", flush=True)

    def _folder(self, name: str) -> Path:
        folder = self.base / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _config(self, name: str) -> dict[str, Any]:
        file = self.base / "input/config" / name
        if not file.exists():
            return {}
        try:
            content = json.loads(file.read_text("utf-8"))
        except ValueError as error:
            raise ContainerError(f"{name} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise ContainerError(f"{name} is not a JSON object")
        return content


def base_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where /opt/ml is: SageMaker's toolkits let SAGEMAKER_BASE_DIR move it."""
    return Path(environment.get("SAGEMAKER_BASE_DIR", OPT_ML))
