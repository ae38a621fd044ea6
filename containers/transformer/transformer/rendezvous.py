"""Where the processes of a training meet: a store that its first instance keeps."""

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
    """What torchrun asks of a meeting where everyone knows beforehand who comes.

    Its own kinds listen on every address of the machine. An instance known by an address, as on a laptop,
    listens on that one only; one known by a name on all, since its name may lead itself to loopback.

    Attributes:
        instances: Names or addresses, in the order of their ranks.
        rank: This instance's place among them.
        port: The first one's; 0 for any, if there is no other.
    """

    instances: Sequence[str]
    rank: int
    port: int = 0

    def next_rendezvous(self) -> RendezvousInfo:
        """Wait for all instances.

        Raises:
            torch.distributed.DistError: They did not come.
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
        """Whether the processes, too, meet in the store."""
        return True

    def get_backend(self) -> str:  # noqa: D102
        return "static"

    def get_run_id(self) -> str:  # noqa: D102
        return "training"

    def num_nodes_waiting(self) -> int:
        """Nobody comes later."""
        return 0

    def is_closed(self) -> bool:  # noqa: D102
        return False

    def set_closed(self) -> None:
        """Nothing to do: there is no second rendezvous."""

    def shutdown(self) -> bool:  # noqa: D102
        return True


def is_address(host: str) -> bool:
    """Whether a host is given by its IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def listening(address: str, port: int) -> int:
    """A socket's file descriptor, for who takes it over."""
    return socket.create_server((address, port)).detach()
