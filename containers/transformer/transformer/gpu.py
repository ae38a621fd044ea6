"""Whether there is a GPU, and whether PyTorch can use it."""

import os
from pathlib import Path

from toolkit.errors import ContainerError

DEVICES = Path("/dev")


def has_gpu() -> bool:
    """Whether there is a GPU that CUDA_VISIBLE_DEVICES does not hide; to ask PyTorch would take seconds."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(DEVICES.glob("nvidia[0-9]*"))


def usable_gpus() -> int:
    """How many GPUs PyTorch computes on; none where it was built for CPUs.

    Raises:
        ContainerError: There is one, and it cannot. It would be paid for, and a CPU do its work.
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
