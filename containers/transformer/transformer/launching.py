"""Start one process per GPU on every instance, with torchrun; a single process needs no torchrun."""

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

PORTS = range(20_000, 30_000)  # below the ephemeral ports
FORWARD_SECONDS = 0.1
LOOPBACKS = ("lo", "lo0")  # on Linux, on macOS


def launch(job: Job) -> None:
    """Fine-tune the job's base model, in one or several processes.

    Raises:
        ContainerError: The hyperparameters, the data or the base model cannot be used.
    """
    settings = parse(Settings, job.hyperparameters)
    if job.channel(CHANNEL).is_dir():
        os.environ["HF_HUB_OFFLINE"] = "1"
    # Imported here: the packages read the variable when imported, and errors in the settings come first.
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
    """Start this instance's processes, wait for them, and forward an interruption to them."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import rendezvous_handler_registry
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from transformer.rendezvous import StaticRendezvous

    hosts = sorted(job.resources.hosts)
    if len(hosts) == 1:  # resolving the host name, gloo might find a public address, or none
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
        signals_to_handle="SIGINT",  # on SIGTERM it would kill the processes before they save
    )
    if job.interrupted.is_set():
        return
    threading.Thread(target=forward_interruption, args=(job.interrupted,), daemon=True).start()
    try:
        elastic_launch(config, run_process)(job.base, base)
    except ChildFailedError as error:
        if (
            not job.interrupted.is_set()
        ):  # otherwise a process was stopped before it started; the last checkpoint is valid
            raise ContainerError(failure_reason(error.get_first_failure()[1].message)) from error


def loopback() -> str:
    """Return the name of the loopback interface."""
    return next(name for _, name in socket.if_nameindex() if name in LOOPBACKS)


def port(job: str) -> int:
    """Return the rendezvous port: derived from the job's name, so that concurrent jobs differ."""
    return PORTS[crc32(job.encode()) % len(PORTS)]


def failure_reason(message: str | dict[str, Any]) -> str:
    """Return the failure reason that torchrun passes on, without the class name of a user error."""
    text = message["message"] if isinstance(message, dict) else message
    name, _, detail = text.partition(": ")
    kinds: list[type[ContainerError]] = [ContainerError, *ContainerError.__subclasses__()]
    return detail if name in [kind.__name__ for kind in kinds] else text


def forward_interruption(interrupted: threading.Event) -> None:
    """Forward an interruption to this instance's processes, including those that have yet to start.

    SageMaker signals only the container's first process, and during the rendezvous there is no other.
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
    """Run one of the training processes."""
    from transformer.distributed import join_process_group
    from transformer.finetuning import finetune

    job = Job(folder)

    def stop(number: int, frame: FrameType | None) -> None:
        job.interrupted.set()

    signal.signal(signal.SIGTERM, stop)
    with join_process_group() as group:
        finetune(job, parse(Settings, job.hyperparameters), base, group)
