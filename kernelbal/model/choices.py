"""The values among which documents and options choose: each member spells the document's word.

No pydantic here: the command line makes its options from these before it knows whether it needs a document.
"""

from __future__ import annotations

from enum import Enum

from kernelbal.model.ipvs import Forwarding, Protocol, ServiceFlag, TunnelFlag, TunnelType


class ProtocolName(Enum):
    """Transport protocol of a virtual service."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"

    @property
    def number(self) -> Protocol:
        """IANA protocol number."""
        return Protocol[self.name]


class ForwardingName(Enum):
    """How packets reach the real servers."""

    NAT = "nat"
    DSR = "dsr"
    TUNNEL = "tunnel"

    @property
    def number(self) -> Forwarding:
        """The kernel's forwarding method."""
        return Forwarding[self.name]


class Scheduler(Enum):
    """IPVS schedulers (`net/netfilter/ipvs/ip_vs_*.c`)."""

    RR = "rr"
    WRR = "wrr"
    LC = "lc"
    WLC = "wlc"
    SH = "sh"
    MH = "mh"
    SED = "sed"
    NQ = "nq"
    FO = "fo"
    OVF = "ovf"
    LBLC = "lblc"
    LBLCR = "lblcr"
    DH = "dh"


class SchedulerFlag(Enum):
    """Options of the hashing schedulers."""

    SH_FALLBACK = "sh-fallback"
    SH_PORT = "sh-port"
    MH_FALLBACK = "mh-fallback"
    MH_PORT = "mh-port"

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that understands this flag."""
        return Scheduler(self.value.partition("-")[0])

    @property
    def bit(self) -> ServiceFlag:
        """The bit in the service's flags."""
        return ServiceFlag.SCHED1 if self.value.endswith("fallback") else ServiceFlag.SCHED2


class TunnelTypeName(Enum):
    """Encapsulation towards the real servers."""

    IPIP = "ipip"
    GUE = "gue"
    GRE = "gre"

    @property
    def number(self) -> TunnelType:
        """The kernel's tunnel type."""
        return TunnelType[self.name]


class TunnelChecksum(Enum):
    """Checksum of the outer header (gue and gre)."""

    NONE = "none"
    FULL = "full"
    REMOTE = "remote"

    @property
    def flag(self) -> TunnelFlag:
        """The kernel's tunnel flag."""
        return {"none": TunnelFlag.NOCSUM, "full": TunnelFlag.CSUM, "remote": TunnelFlag.REMCSUM}[self.value]


class AllDown(Enum):
    """What a virtual service does with fewer usable real servers than its quorum."""

    REFUSE = "refuse"
    KEEP = "keep"
    SORRY = "sorry"
    WITHDRAW = "withdraw"


class OnDown(Enum):
    """What becomes of a real server that goes down."""

    QUIESCE = "quiesce"
    REMOVE = "remove"


class Encryption(Enum):
    """When a conversation is encrypted."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class DnsTransport(Enum):
    """How a DNS query travels; the virtual service's protocol by default."""

    UDP = "udp"
    TCP = "tcp"


class Unable(Enum):
    """What becomes of real servers whose check cannot be run."""

    KEEP = "keep"
    """They stay as they are; the status warns."""
    DOWN = "down"


class Through(Enum):
    """What a probe is addressed to."""

    REAL = "real"
    """The real server's own address."""
    VIRTUAL = "virtual"
    """The virtual address, led to this one real server by a firewall mark."""


class Right(Enum):
    """What somebody may do."""

    READ = "read"
    CHANGE = "change"
