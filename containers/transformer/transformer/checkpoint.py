"""Save and load the checkpoint of an interrupted training."""

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from toolkit.errors import ContainerError
from toolkit.rows import Rows
from transformer.settings import NOT_IN_IDENTITY, Settings

FILE = "checkpoint.pt"


def identity(settings: Settings, rows: Rows, weights: dict[str, torch.Tensor]) -> str:
    """Return a hash that identifies a training: its settings, its rows, and its initial weights."""
    chosen = {name: value for name, value in asdict(settings).items() if name not in NOT_IN_IDENTITY}
    content = hashlib.sha256(repr((sorted(chosen.items()), rows.labels)).encode())
    for text in rows.texts:
        content.update(text.encode("utf-8", "surrogatepass") + b"\0")
    for name, weight in weights.items():
        content.update(name.encode())
        content.update(weight.reshape(-1).view(torch.uint8).numpy())
    return content.hexdigest()


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write to a temporary file, then rename: a killed process leaves the previous checkpoint intact."""
    aside = folder / f".{FILE}"
    with aside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / FILE)


def load(folder: Path, expected_identity: str) -> dict[str, Any] | None:
    """Load the checkpoint; return None if there is none.

    Args:
        expected_identity: The identity of this training.

    Raises:
        ContainerError: The checkpoint cannot be read, or belongs to another training.
    """
    file = folder / FILE
    if not file.exists():
        return None
    advice = f"empty the job's checkpoint folder ({folder}), or name another in CheckpointConfig"
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
        found = state["identity"]
    except Exception as error:  # a damaged archive may raise any exception
        reason = str(error).partition(". ")[0]  # drop PyTorch's advice to load it without weights_only
        raise ContainerError(f"the checkpoint {file.name} cannot be read: {reason}; {advice}") from error
    if found != expected_identity:
        raise ContainerError(
            f"the checkpoint {file.name} belongs to a training with other rows, hyperparameters or base "
            f"model; {advice}"
        )
    return state


def remove(folder: Path) -> None:
    """Delete the checkpoint."""
    (folder / FILE).unlink(missing_ok=True)
