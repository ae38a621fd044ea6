"""One process a GPU on every instance, by torchrun; a single one is this process."""

import multiprocessing
import os
import signal
import socket
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any
from zlib import crc32

from toolkit.errors import ContainerError
from toolkit.hyperparameters import parse
from toolkit.job import Job

from transformer.pretrained import CHANNEL, BaseModel, base_model
from transformer.settings import Settings

PORTS = range(20_000, 30_000)  # below those that systems give to clients
FORWARD_SECONDS = 0.1
LOOPBACKS = ("lo", "lo0")  # Linux's, macOS's


def launch(job: Job) -> None:
    """Fine-tune the job's base model, in as many processes as it asks for.

    Raises:
        ContainerError: The hyperparameters, the data or the base model cannot be used.
    """
    settings = parse(Settings, job.hyperparameters)
    if job.channel(CHANNEL).is_dir():
        os.environ["HF_HUB_OFFLINE"] = "1"
    # Not above: what is imported here reads the variable, and the settings' errors need not wait for it.
    from transformer.distributed import join_process_group
    from transformer.finetuning import finetune
    from transformer.gpu import usable_gpus

    gpus = usable_gpus()
    processes = settings.processes or gpus or 1
    if gpus and processes > gpus:
        raise ContainerError(f"processes is {processes}, but each needs a GPU, and this instance has {gpus}")
    with base_model(job, settings) as base:
        if processes * len(job.resources.hosts) == 1:
            with join_process_group() as group:
                finetune(job, settings, base, group)
        else:
            torchrun(job, base, processes)


def torchrun(job: Job, base: BaseModel, processes: int) -> None:
    """Start this instance's processes, wait for them, and pass on what interrupts this one."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import rendezvous_handler_registry
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from transformer.rendezvous import StaticRendezvous

    hosts = sorted(job.resources.hosts)
    if len(hosts) == 1:  # by the host's name gloo might find an address that others reach, or none
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback())
        rendezvous = StaticRendezvous(["127.0.0.1"], rank=0)
    else:
        for backend in ("GLOO", "NCCL"):
            os.environ[f"{backend}_SOCKET_IFNAME"] = job.resources.network_interface_name
        rendezvous = StaticRendezvous(hosts, hosts.index(job.resources.current_host), port(job.name))
    rendezvous_handler_registry.register(rendezvous.get_backend(), lambda _: rendezvous)
    config = LaunchConfig(
        min_nodes=len(hosts),
        max_nodes=len(hosts),
        nproc_per_node=processes,
        run_id=rendezvous.get_run_id(),
        rdzv_backend=rendezvous.get_backend(),
        local_addr=rendezvous.instances[rendezvous.rank],
        max_restarts=0,
        signals_to_handle="SIGINT",  # on SIGTERM it would not let them save
    )
    if job.interrupted.is_set():
        return
    threading.Thread(target=forward_interruption, args=(job.interrupted,), daemon=True).start()
    try:
        elastic_launch(config, run_process)(job.base, base)
    except ChildFailedError as error:
        if not job.interrupted.is_set():  # otherwise one had not begun yet: the last checkpoint stands
            raise ContainerError(failure_reason(error.get_first_failure()[1].message)) from error


def loopback() -> str:
    """The network interface that leads nowhere else."""
    return next(name for _, name in socket.if_nameindex() if name in LOOPBACKS)


def port(job: str) -> int:
    """Where a job's instances meet: all know its name, and jobs side by side are kept apart."""
    return PORTS[crc32(job.encode()) % len(PORTS)]


def failure_reason(message: str | dict[str, Any]) -> str:
    """What a process failed of, as torchrun passes it on; the user's own error without its class's name."""
    text = message["message"] if isinstance(message, dict) else message
    name, _, detail = text.partition(": ")
    kinds: list[type[ContainerError]] = [ContainerError, *ContainerError.__subclasses__()]
    return detail if name in [kind.__name__ for kind in kinds] else text


def forward_interruption(interrupted: threading.Event) -> None:
    """Tell this instance's processes of an interruption, those too that have yet to begin.

    Only a container's first process is signalled, and while instances meet there is no other.
    """
    interrupted.wait()
    terminated: set[int | None] = set()
    while True:
        for child in multiprocessing.active_children():
            if child.pid not in terminated:
                terminated.add(child.pid)
                child.terminate()
        time.sleep(FORWARD_SECONDS)


def run_process(folder: Path, base: BaseModel) -> None:
    """One of the processes."""
    from transformer.distributed import join_process_group
    from transformer.finetuning import finetune

    job = Job(folder)

    def stop(number: int, frame: FrameType | None) -> None:
        job.interrupted.set()

    signal.signal(signal.SIGTERM, stop)
    with join_process_group() as group:
        finetune(job, parse(Settings, job.hyperparameters), base, group)
