"""The processes that train together, this one among them, and its device."""

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
    """This process among those that train together.

    Attributes:
        rank: Its place among all of them.
        size: How many there are, on all instances.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that tells and saves."""
        return self.rank == 0

    def to_device(self, values: NDArray[Any]) -> torch.Tensor:
        """Values on the device; from pinned memory, so that neither it nor this process waits for a copy."""
        there = torch.from_numpy(values)
        return there if self.device.type == "cpu" else there.pin_memory().to(self.device, non_blocking=True)

    def synchronize(self) -> None:
        """Until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def sum(self, values: torch.Tensor) -> list[float]:
        """Add up what the processes have."""
        total = values.detach().to("cpu", torch.float64, copy=True)
        if self.size > 1:
            dist.all_reduce(total)
        return [float(value) for value in total]

    def any(self, here: bool) -> bool:
        """Whether it is so in one of the processes. Through the CPU, so that no GPU is waited for."""
        return self.sum(torch.tensor([float(here)]))[0] > 0 if self.size > 1 else here

    def all_equal(self, number: int) -> bool:
        """Whether all processes have this number, which times their count is below 2**53."""
        total = self.sum(torch.tensor([float(number)], dtype=torch.float64))[0]
        return not self.any(total != number * self.size)

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model with its gradients averaged over the processes."""
        if self.size == 1:
            return model
        places = [self.device.index] if self.device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(
            model, device_ids=places, gradient_as_bucket_view=True
        )


@contextmanager
def join_process_group() -> Iterator[ProcessGroup]:
    """The processes that torchrun started; this process alone if it started none."""
    if "RANK" not in os.environ:
        yield ProcessGroup(device(0))
        return
    place = device(int(os.environ["LOCAL_RANK"]))
    if place.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // int(os.environ["LOCAL_WORLD_SIZE"])))
    dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo")
    yield ProcessGroup(place, dist.get_rank(), dist.get_world_size())
    # Not after an error: it would wait for the other processes, which wait for this one.
    dist.destroy_process_group()


def device(local_rank: int) -> torch.device:
    """This process's GPU where there is one."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda", local_rank)


def autocast(place: torch.device, precision: Literal["auto", "bfloat16", "float32"]) -> Any:
    """Compute in bfloat16 where it is asked for, or the device has it in hardware and nothing is asked for.

    A GPU without it computes in float32: float16 would need its loss scaled.
    """
    fast = place.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    chosen = fast if precision == "auto" else precision == "bfloat16"
    return torch.autocast(place.type, torch.bfloat16, enabled=chosen)
