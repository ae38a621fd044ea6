"""The folder that a container sees as /opt/ml, laid out as SageMaker does."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.runtimes.container import OPT_ML
from localaws.sagemaker.api.errors import FAILURE_REASON_CHARACTERS
from localaws.sagemaker.jobs.processing import MESSAGE_BYTES

HOST = "algo-1"
INSTANCE_TYPE = "ml.m5.large"
CHECKPOINT_URI = "s3://check-container/checkpoints"
WRITABLE = ("model", "output", "checkpoints")  # what a training container may write to
# A home's caches, and the temporary files of a runtime that keeps them here.
IGNORED = ("tmp",)


@dataclass(frozen=True)
class OptMl:
    """One container's /opt/ml."""

    root: Path

    @property
    def input(self) -> Path:
        """Configuration and channels."""
        return self.root / "input"

    @property
    def model(self) -> Path:
        """What is trained and served."""
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        """What outlives an interruption."""
        return self.root / "checkpoints"

    @property
    def failure(self) -> str:
        """Why training failed, as far as SageMaker reads it."""
        return self._message("failure")[:FAILURE_REASON_CHARACTERS]

    @property
    def message(self) -> str:
        """What a processing job said, as far as SageMaker reads it."""
        return self._message("message").encode()[:MESSAGE_BYTES].decode("utf-8", "ignore")

    def lay_out_processing(self) -> None:
        """Make the folders of a processing job without inputs."""
        for folder in ("config", "output", "processing/input", "processing/output"):
            (self.root / folder).mkdir(parents=True)
        resources = {"current_host": HOST, "hosts": [HOST]}
        (self.root / "config" / "resourceconfig.json").write_text(json.dumps(resources))
        (self.root / "config" / "processingjobconfig.json").write_text(json.dumps({"ProcessingInputs": []}))

    def lay_out(self, hyperparameters: Mapping[str, str], channels: Mapping[str, Path]) -> None:
        """Make the folders of a training job; the input can be read only."""
        for made in ("input/config", "input/data", "output/data", *WRITABLE):
            (self.root / made).mkdir(parents=True, exist_ok=True)
        for name, folder in channels.items():
            shutil.copytree(folder, self.input / "data" / name)
        self.write_config("hyperparameters", hyperparameters)
        self.write_config("inputdataconfig", {name: _channel_config() for name in channels})
        self.write_config("resourceconfig", _resource_config())
        self.write_config("checkpointconfig", {"LocalPath": f"{OPT_ML}/checkpoints", "S3Uri": CHECKPOINT_URI})

    def take_model(self, trained: "OptMl | None") -> None:
        """Make the folders of a server: the model of a training, or none, that cannot be written to."""
        if trained is None:
            self.model.mkdir()
        else:
            shutil.copytree(trained.model, self.model)
        seal(self.model)

    def take_checkpoints(self, interrupted: "OptMl") -> None:
        """Bring the checkpoints of an interrupted training."""
        shutil.copytree(interrupted.checkpoints, self.checkpoints, dirs_exist_ok=True)

    def write_config(self, name: str, document: Any) -> None:
        """Write a file of input/config."""
        (self.input / "config" / f"{name}.json").write_text(json.dumps(document))

    def read_config(self, name: str) -> Any:
        """Read a file of input/config."""
        return json.loads((self.input / "config" / f"{name}.json").read_bytes())

    def _message(self, name: str) -> str:
        path = self.root / "output" / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def unexpected_files(self) -> list[str]:
        """What lies where nothing should have been written."""
        expected = {"input", *WRITABLE, *IGNORED}
        return sorted(
            path.name for path in self.root.iterdir() if path.name not in expected and path.name[0] != "."
        )


def seal(folder: Path) -> None:
    """Make a folder such that only the superuser could write to it."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)


def remove(folder: Path) -> None:
    """Remove a folder, sealed or not."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def has_files(folder: Path) -> bool:
    """Whether a folder holds any file, at any depth."""
    return any(path.is_file() for path in folder.rglob("*"))


def contents(folder: Path) -> dict[str, str]:
    """The hash of each file below a folder, by its path in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _channel_config() -> dict[str, str]:
    return {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }


def _resource_config() -> dict[str, Any]:
    group = {"instance_group_name": "homogeneousCluster", "instance_type": INSTANCE_TYPE, "hosts": [HOST]}
    return {
        "current_host": HOST,
        "current_instance_type": INSTANCE_TYPE,
        "current_group_name": "homogeneousCluster",
        "hosts": [HOST],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }
