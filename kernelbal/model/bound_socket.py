"""A socket that waits for packets from anybody."""

from __future__ import annotations

from typing import NamedTuple

from kernelbal.model.address import Address


class BoundSocket(NamedTuple):
    """A listening socket, or a UDP socket without a peer.

    Attributes:
        protocol: IANA number.
        address: all zeros for every address.
        only_ipv6: of `::`: whether it leaves IPv4 out; None where the kernel does not say.
        inode: by which a process's descriptors name it.
        program: who has it, such as `nginx (pid 812)`; empty where that was not looked up.
    """

    protocol: int
    address: Address
    port: int
    only_ipv6: bool | None = None
    inode: int = 0
    program: str = ""

    @property
    def wildcard(self) -> bool:
        """Whether it takes packets to every address of its family."""
        return not any(self.address)

    def takes(self, protocol: int, address: Address, port: int) -> bool:
        """Return whether packets to an address and port are for this socket."""
        if (self.protocol, self.port) != (protocol, port):
            return False
        if self.address == address:
            return True
        same = len(self.address) == len(address)
        return self.wildcard and (same or (len(address) == 4 and not self.only_ipv6))
