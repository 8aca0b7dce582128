"""Everything that a verification knows: read from the host, or heard on a scratch wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from kernelbal.model.address import Address
from kernelbal.model.bound_socket import BoundSocket
from kernelbal.model.network import Route
from kernelbal.realserver.preparation import PortMap
from kernelbal.realserver.setup import HostState


class Path(NamedTuple):
    """The ways between a virtual address and a client.

    Attributes:
        client: whom replies go to.
        reply: where the kernel sends a packet from the virtual address to the client; None for nowhere.
        backwards: where it sends a packet of its own to the client, which is what `rp_filter` looks at.
        chosen: whether an operator named the client; else it stands for any client far away.
        unanswered: whether the next hop was asked for its MAC address and did not answer.
    """

    client: Address
    reply: Route | None
    backwards: Route | None
    chosen: bool = False
    unanswered: bool = False

    @property
    def next_hop(self) -> Address:
        """Whom the reply is handed to."""
        return (self.reply.gateway if self.reply else None) or self.client


class Reaction(Enum):
    """What a packet of a client led to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """By a TCP reset."""
    UNREACHABLE = "unreachable"
    """By an ICMP message."""
    FORWARDED = "forwarded"
    """The host has sent it on."""
    SILENT = "silent"


class Answer(NamedTuple):
    """What was heard about one port.

    Attributes:
        mss_bytes: of a connection that was accepted; 0 where it named none.
        code: of an ICMP message.
    """

    port: PortMap
    reaction: Reaction
    mss_bytes: int = 0
    code: int = 0


@dataclass(frozen=True, slots=True)
class Wire:
    """What was heard on the scratch wire to one interface about one virtual address.

    Attributes:
        skipped: why nothing was asked; empty when it was.
        claims: MAC addresses that were given for the virtual address.
        control: the host's own address that was asked for as well; None where it has none.
        control_answered: whether the host answered for that.
        named_sender: whether the host asked for a neighbour in the virtual address's name.
        asked_neighbour: whether it asked for a neighbour at all, so that its silence says something.
        answers: by port.
    """

    interface: str
    skipped: str = ""
    claims: tuple[str, ...] = ()
    control: Address | None = None
    control_answered: bool = False
    named_sender: bool = False
    asked_neighbour: bool = False
    answers: tuple[Answer, ...] = ()


Wires = Mapping[Address, tuple[Wire, ...]]
"""By virtual address, one per interface."""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The nftables rules of others.

    Attributes:
        objects: of `libnftables-json(5)`, without our tables.
        unreadable: why they could not be read; empty when they could.
        legacy: tables of iptables that nftables does not show, such as `iptables filter`.
    """

    objects: tuple[Mapping[str, Any], ...] = ()
    unreadable: str = ""
    legacy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostEvidence:
    """What is known of a host.

    Attributes:
        host: devices, addresses, routes, sysctls, our tables, GUE listeners.
        no_nftables: why our tables could not be read; empty when they could.
        unusable: IPv6 addresses that the kernel does not use yet or any more, and why.
        paths: by virtual address.
        wires: what was heard; empty when no probes were sent.
        director: the director's own address, None where nobody named it.
    """

    host: HostState
    no_nftables: str = ""
    sockets: tuple[BoundSocket, ...] = ()
    unusable: Mapping[Address, str] = field(default_factory=dict)
    paths: Mapping[Address, Path] = field(default_factory=dict)
    wires: Wires = field(default_factory=dict)
    ruleset: Ruleset = field(default_factory=Ruleset)
    director: Address | None = None
