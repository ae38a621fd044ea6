"""The rendezvous of a training's processes: a store on its first instance."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from torch.distributed import TCPStore
from torch.distributed.elastic.rendezvous import RendezvousHandler, RendezvousInfo
from torch.distributed.elastic.rendezvous.api import RendezvousStoreInfo

JOIN_SECONDS = 900


@dataclass(frozen=True, slots=True)
class StaticRendezvous(RendezvousHandler):  # type: ignore[misc]  # no torch where types are checked
    """A torchrun rendezvous of instances that are known beforehand.

    torchrun's own backends listen on every address of the machine. Here, an instance that is known by an IP
    address, as on a laptop, listens on that address only. One known by name listens on all, since its own
    name may resolve to loopback.

    Attributes:
        instances: Names or addresses, in the order of their ranks.
        rank: The rank of this instance.
        port: The port on the first instance; 0 for any port, if there is one instance.
    """

    instances: Sequence[str]
    rank: int
    port: int = 0

    def next_rendezvous(self) -> RendezvousInfo:
        """Wait for all instances.

        Raises:
            torch.distributed.DistError: Not all instances joined in time.
        """
        first = self.instances[0]
        leads = self.rank == 0
        store = TCPStore(
            first,
            self.port,
            len(self.instances),
            leads,
            timedelta(seconds=JOIN_SECONDS),
            master_listen_fd=listening(first, self.port) if leads and is_address(first) else None,
        )
        return RendezvousInfo(store, self.rank, len(self.instances), RendezvousStoreInfo(first, store.port))

    @property
    def use_agent_store(self) -> bool:
        """Return True: the processes use the same store."""
        return True

    def get_backend(self) -> str:  # noqa: D102
        return "fixed-instances"  # torch has a "static" one

    def get_run_id(self) -> str:  # noqa: D102
        return "training"

    def num_nodes_waiting(self) -> int:
        """Return 0: no instance joins later."""
        return 0

    def is_closed(self) -> bool:  # noqa: D102
        return False

    def set_closed(self) -> None:
        """Do nothing: there is only one rendezvous."""

    def shutdown(self) -> bool:  # noqa: D102
        return True


def is_address(host: str) -> bool:
    """Return whether a host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def listening(address: str, port: int) -> int:
    """Return the file descriptor of a listening socket, for the store to take over."""
    return socket.create_server((address, port)).detach()
