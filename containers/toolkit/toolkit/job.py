"""Access a training job as SageMaker lays it out under /opt/ml."""

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
    """The instances of a job, and which of them this one is."""

    current_host: str = "algo-1"
    hosts: tuple[str, ...] = ("algo-1",)
    network_interface_name: str = "lo"


@dataclass(frozen=True)
class Job:
    """The inputs and output folders of a training job.

    Attributes:
        base: The folder /opt/ml.
        name: The job's name, which stays the same after an interruption.
        interrupted: Set when SageMaker stops the job (spot interruption, StopTrainingJob). Use `is_set`: a
            `wait` in the main thread may hold the lock that the signal handler needs.
    """

    base: Path = Path(OPT_ML)
    name: str = field(default_factory=lambda: os.environ.get("TRAINING_JOB_NAME", "job"))
    interrupted: Event = field(default_factory=Event)
    started: float = field(default_factory=monotonic)

    @cached_property
    def hyperparameters(self) -> Mapping[str, str]:
        """Return the hyperparameters; all values are strings."""
        return self._config("hyperparameters.json")

    @cached_property
    def resources(self) -> Resources:
        """Return the resources of resourceconfig.json; without the file, a single instance."""
        content = self._config("resourceconfig.json")
        values = {name: content[name] for name in Resources.__slots__ if name in content}
        if "hosts" in values:
            values["hosts"] = tuple(values["hosts"])
        return Resources(**values)

    @property
    def model_dir(self) -> Path:
        """Return the folder that becomes model.tar.gz when the job ends."""
        return self._folder("model")

    @property
    def checkpoint_dir(self) -> Path:
        """Return the folder that survives an interruption: SageMaker synchronizes it with S3.

        Each job has its own: the trainings of a tuning job share one S3 prefix, and each receives all of it.
        """
        return self._folder(f"checkpoints/{self.name}")

    def channel(self, name: str) -> Path:
        """Return the folder of an input channel, which may not exist."""
        return self.base / "input/data" / name

    def read(self, name: str) -> rows.Rows:
        """Read the labelled texts of a channel; return no rows if it does not exist.

        Raises:
            TrainingDataError: A line is not an object with a text and a label.
        """
        return rows.read(self.channel(name))

    def report(self, split: str, **values: float) -> None:
        """Log metrics in the form that metric definitions match: ``validation:accuracy=0.9234;``."""
        pairs = (
            f"{name}={value}" if isinstance(value, int) else f"{name}={value:.6f}"
            for name, value in values.items()
        )
        self.log(" ".join(f"{split}:{pair};" for pair in pairs))

    def log(self, message: str) -> None:
        """Print a message with the seconds since the job started."""
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
    """Return the base folder: SAGEMAKER_BASE_DIR, as in SageMaker's toolkits, else /opt/ml."""
    return Path(environment.get("SAGEMAKER_BASE_DIR", OPT_ML))
