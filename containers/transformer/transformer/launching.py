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

from transformer.pretrained import CHANNEL, Base, base_of
from transformer.settings import Settings

PORTS = range(20_000, 30_000)  # below those that systems give to clients
PASS_ON_SECONDS = 0.1
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
    from transformer.distributed import joined
    from transformer.finetuning import finetune
    from transformer.gpu import usable_gpus

    gpus = usable_gpus()
    processes = settings.processes or gpus or 1
    if gpus and processes > gpus:
        raise ContainerError(f"processes is {processes}, but each needs a GPU, and this instance has {gpus}")
    with base_of(job, settings) as base:
        if processes * len(job.resources.hosts) == 1:
            with joined() as world:
                finetune(job, settings, base, world)
        else:
            torchrun(job, base, processes)


def torchrun(job: Job, base: Base, processes: int) -> None:
    """Start this instance's processes, wait for them, and pass on what interrupts this one."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import rendezvous_handler_registry
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from transformer.rendezvous import Meeting

    hosts = sorted(job.resources.hosts)
    if len(hosts) == 1:  # by the host's name gloo might find an address that others reach, or none
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback())
        meeting = Meeting(["127.0.0.1"], rank=0)
    else:
        for backend in ("GLOO", "NCCL"):
            os.environ[f"{backend}_SOCKET_IFNAME"] = job.resources.network_interface_name
        meeting = Meeting(hosts, hosts.index(job.resources.current_host), port(job.name))
    rendezvous_handler_registry.register(meeting.get_backend(), lambda _: meeting)
    config = LaunchConfig(
        min_nodes=len(hosts),
        max_nodes=len(hosts),
        nproc_per_node=processes,
        run_id=meeting.get_run_id(),
        rdzv_backend=meeting.get_backend(),
        local_addr=meeting.instances[meeting.rank],
        max_restarts=0,
        signals_to_handle="SIGINT",  # on SIGTERM it would not let them save
    )
    if job.interrupted.is_set():
        return
    threading.Thread(target=pass_on, args=(job.interrupted,), daemon=True).start()
    try:
        elastic_launch(config, work)(job.base, base)
    except ChildFailedError as error:
        if not job.interrupted.is_set():  # otherwise one had not begun yet: the last checkpoint stands
            raise ContainerError(reason(error.get_first_failure()[1].message)) from error


def loopback() -> str:
    """The network interface that leads nowhere else."""
    return next(name for _, name in socket.if_nameindex() if name in LOOPBACKS)


def port(job: str) -> int:
    """Where a job's instances meet: all know its name, and jobs side by side are kept apart."""
    return PORTS[crc32(job.encode()) % len(PORTS)]


def reason(message: str | dict[str, Any]) -> str:
    """What a process failed of, as torchrun passes it on; the user's own error without its class's name."""
    told = message["message"] if isinstance(message, dict) else message
    name, _, said = told.partition(": ")
    kinds: list[type[ContainerError]] = [ContainerError, *ContainerError.__subclasses__()]
    return said if name in [kind.__name__ for kind in kinds] else told


def pass_on(interrupted: threading.Event) -> None:
    """Tell this instance's processes of an interruption, those too that have yet to begin.

    Only a container's first process is signalled, and while instances meet there is no other.
    """
    interrupted.wait()
    told: set[int | None] = set()
    while True:
        for child in multiprocessing.active_children():
            if child.pid not in told:
                told.add(child.pid)
                child.terminate()
        time.sleep(PASS_ON_SECONDS)


def work(folder: Path, base: Base) -> None:
    """One of the processes."""
    from transformer.distributed import joined
    from transformer.finetuning import finetune

    job = Job(folder)

    def stop(number: int, frame: FrameType | None) -> None:
        job.interrupted.set()

    signal.signal(signal.SIGTERM, stop)
    with joined() as world:
        finetune(job, parse(Settings, job.hyperparameters), base, world)
