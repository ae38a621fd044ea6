"""Detect a GPU, and check that PyTorch can use it."""

import os
from pathlib import Path

from toolkit.errors import ContainerError

DEVICES = Path("/dev")


def has_gpu() -> bool:
    """Return whether there is a GPU that CUDA_VISIBLE_DEVICES does not hide, without importing PyTorch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(DEVICES.glob("nvidia[0-9]*"))


def usable_gpus() -> int:
    """Return the number of GPUs that PyTorch can use; 0 if it was built for CPUs.

    Raises:
        ContainerError: There is a GPU that PyTorch cannot use. Training on the CPU would waste a paid GPU.
    """
    if not has_gpu():
        return 0
    import torch

    if torch.version.cuda is None:
        return 0
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        raise ContainerError(
            f"this instance has a GPU, which PyTorch for CUDA {torch.version.cuda} cannot use: {error}. "
            "Choose an instance type without one, or with another driver (InferenceAmiVersion), "
            "or hide it with CUDA_VISIBLE_DEVICES=-1"
        ) from error
    return int(torch.cuda.device_count())
