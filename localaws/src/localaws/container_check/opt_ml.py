"""Create and read a container's /opt/ml folder with SageMaker's layout."""

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
WRITABLE = ("model", "output", "checkpoints")  # the folders that a training container can write to
IGNORED = ("tmp",)  # the temporary folder of the process runtime


@dataclass(frozen=True)
class OptMl:
    """A container's /opt/ml."""

    root: Path

    @property
    def input(self) -> Path:
        """The folder of the configuration and the channels."""
        return self.root / "input"

    @property
    def model(self) -> Path:
        """The folder of the model."""
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints, which SageMaker restores after an interruption."""
        return self.root / "checkpoints"

    @property
    def failure(self) -> str:
        """The part of output/failure that SageMaker reads; empty if the file does not exist."""
        return self._message("failure")[:FAILURE_REASON_CHARACTERS]

    @property
    def message(self) -> str:
        """The part of a processing job's output/message that SageMaker reads; empty if it does not exist."""
        return self._message("message").encode()[:MESSAGE_BYTES].decode("utf-8", "ignore")

    def create_processing_job(self) -> None:
        """Create the folders and configuration of a processing job without inputs."""
        for folder in ("config", "output", "processing/input", "processing/output"):
            (self.root / folder).mkdir(parents=True)
        resources = {"current_host": HOST, "hosts": [HOST]}
        (self.root / "config" / "resourceconfig.json").write_text(json.dumps(resources))
        (self.root / "config" / "processingjobconfig.json").write_text(json.dumps({"ProcessingInputs": []}))

    def create_training_job(self, hyperparameters: Mapping[str, str], channels: Mapping[str, Path]) -> None:
        """Create the folders, configuration and channels of a training job."""
        for folder_name in ("input/config", "input/data", "output/data", *WRITABLE):
            (self.root / folder_name).mkdir(parents=True, exist_ok=True)
        for name, folder in channels.items():
            shutil.copytree(folder, self.input / "data" / name)
        self.write_config("hyperparameters", hyperparameters)
        self.write_config("inputdataconfig", {name: _channel_config() for name in channels})
        self.write_config("resourceconfig", _resource_config())
        self.write_config("checkpointconfig", {"LocalPath": f"{OPT_ML}/checkpoints", "S3Uri": CHECKPOINT_URI})

    def copy_model(self, trained: "OptMl | None") -> None:
        """Create a read-only model folder with the model of a training, or an empty one."""
        if trained is None:
            self.model.mkdir()
        else:
            shutil.copytree(trained.model, self.model)
        seal(self.model)

    def copy_checkpoints(self, interrupted: "OptMl") -> None:
        """Copy the checkpoints of an interrupted training."""
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
        """Return the names of files and folders that the container should not have created."""
        expected = {"input", *WRITABLE, *IGNORED}
        return sorted(
            path.name for path in self.root.iterdir() if path.name not in expected and path.name[0] != "."
        )


def seal(folder: Path) -> None:
    """Make a folder and its content read-only, except for root."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)


def remove(folder: Path) -> None:
    """Remove a folder, read-only or not."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def has_files(folder: Path) -> bool:
    """Return whether a folder contains a file at any depth."""
    return any(path.is_file() for path in folder.rglob("*"))


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder by its relative path."""
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
