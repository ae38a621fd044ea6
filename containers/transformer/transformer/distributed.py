"""The process group of a distributed training, and the device of each process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process within the process group.

    Attributes:
        rank: The rank of this process in the group.
        size: The number of processes on all instances (the world size).
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Return whether this process logs and saves."""
        return self.rank == 0

    def to_device(self, values: NDArray[Any]) -> torch.Tensor:
        """Copy values to the device without blocking, from pinned memory."""
        there = torch.from_numpy(values)
        return there if self.device.type == "cpu" else there.pin_memory().to(self.device, non_blocking=True)

    def synchronize(self) -> None:
        """Wait until the device has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def sum(self, values: torch.Tensor) -> list[float]:
        """Return the sum of the values over all processes."""
        total = values.detach().to("cpu", torch.float64, copy=True)
        if self.size > 1:
            dist.all_reduce(total)
        return [float(value) for value in total]

    def any(self, here: bool) -> bool:
        """Return whether the condition holds in any process.

        The sum is computed on the CPU, so that no GPU is waited for.
        """
        return self.sum(torch.tensor([float(here)]))[0] > 0 if self.size > 1 else here

    def all_equal(self, number: int) -> bool:
        """Return whether all processes have the same number; number times size must be below 2**53."""
        total = self.sum(torch.tensor([float(number)], dtype=torch.float64))[0]
        return not self.any(total != number * self.size)

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """Wrap the model such that its gradients are averaged over the processes."""
        if self.size == 1:
            return model
        places = [self.device.index] if self.device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(
            model, device_ids=places, gradient_as_bucket_view=True
        )


@contextmanager
def join_process_group() -> Iterator[ProcessGroup]:
    """Join the process group that torchrun started, or use this process alone."""
    if "RANK" not in os.environ:
        yield ProcessGroup(device(0))
        return
    place = device(int(os.environ["LOCAL_RANK"]))
    if place.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // int(os.environ["LOCAL_WORLD_SIZE"])))
    dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo")
    yield ProcessGroup(place, dist.get_rank(), dist.get_world_size())
    # Not after an error: it would wait for other processes, which wait for this one.
    dist.destroy_process_group()


def device(local_rank: int) -> torch.device:
    """Return the GPU of this process, or the CPU if there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda", local_rank)


def autocast(place: torch.device, precision: Literal["auto", "bfloat16", "float32"]) -> Any:
    """Return a context that computes in bfloat16, if requested, or by default if the hardware supports it.

    A GPU without bfloat16 computes in float32: float16 would need loss scaling.
    """
    fast = place.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    chosen = fast if precision == "auto" else precision == "bfloat16"
    return torch.autocast(place.type, torch.bfloat16, enabled=chosen)
