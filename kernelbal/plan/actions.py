"""Everything that an apply can do to a kernel, one record per kind.

What `kernelbal plan` prints are these records; what `kernelbal apply` performs are the same ones.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple

from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    Timeouts,
)
from kernelbal.model.network import (
    IFA_PROTO_KERNELBAL,
    AddressAttributes,
    AddressKey,
    GueListener,
    LinkState,
)
from kernelbal.model.nft import NftTable
from kernelbal.model.policy_route import NextHop, Rule, TableRouteKey


class Phase(IntEnum):
    """The order of an apply: what receives traffic comes last on the way up and first on the way down.

    Firewall marks change after the services that they lead to exist, and before the ones that they led to
    go: a service that moves between address and mark never leaves a new connection without an answer.
    For the same reason weights fall to 0 with `QUIESCE`, and an address that changes its device or prefix
    leaves its old place with `ADD_ADDRESSES`. A routing rule comes after the table that it leads to, and goes
    before it; both need the addresses through which gateways are reached.
    """

    REMOVE_ADDRESSES = 0
    LINKS = 1
    SYSCTLS = 2
    SERVICES = 3
    DESTINATIONS = 4
    NFTABLES = 5
    ADD_ADDRESSES = 6
    ADD_ROUTES = 7
    ADD_RULES = 8
    REMOVE_RULES = 9
    REMOVE_ROUTES = 10
    QUIESCE = 11
    REMOVE_DESTINATIONS = 12
    REMOVE_SERVICES = 13
    RELEASE_NFTABLES = 14
    RELEASE_SYSCTLS = 15
    RELEASE_LINKS = 16


class AddService(NamedTuple):
    """Create an IPVS service without destinations."""

    key: ServiceKey
    attributes: ServiceAttributes


class EditService(NamedTuple):
    """Change a service in place; its connections go on."""

    key: ServiceKey
    old: ServiceAttributes
    attributes: ServiceAttributes


class RemoveService(NamedTuple):
    """Remove a service and all its destinations."""

    key: ServiceKey


class AddDestination(NamedTuple):
    """Add a real server to a service."""

    service: ServiceKey
    key: DestinationKey
    attributes: DestinationAttributes


class EditDestination(NamedTuple):
    """Change a real server in place; its connections go on."""

    service: ServiceKey
    key: DestinationKey
    old: DestinationAttributes
    attributes: DestinationAttributes


class QuiesceDestination(NamedTuple):
    """Set the weight of a leaving real server to 0 and let its connections end until `drain_s` has passed."""

    service: ServiceKey
    key: DestinationKey
    old: DestinationAttributes
    drain_s: float


class RemoveDestination(NamedTuple):
    """Remove a real server from a service; connections it still has are cut."""

    service: ServiceKey
    key: DestinationKey


class SetTimeouts(NamedTuple):
    """Set the IPVS connection timeouts; `old` is None when they were not read."""

    old: Timeouts | None
    timeouts: Timeouts


class AddAddress(NamedTuple):
    """Add an address to a device and announce it.

    Attributes:
        mark: its `IFA_PROTO`; 0 where a record alone tells whose it is.
    """

    key: AddressKey
    attributes: AddressAttributes
    mark: int = IFA_PROTO_KERNELBAL


class ReplaceAddress(NamedTuple):
    """Change the flags of an address in place."""

    key: AddressKey
    old: AddressAttributes
    attributes: AddressAttributes


class RemoveAddress(NamedTuple):
    """Remove an address of ours."""

    key: AddressKey


class EnsureLink(NamedTuple):
    """Create a device if it is missing, and bring it up."""

    link: LinkState


class RemoveLink(NamedTuple):
    """Remove a device that we created."""

    name: str


class OpenListener(NamedTuple):
    """Unwrap generic UDP encapsulation on a port."""

    listener: GueListener


class CloseListener(NamedTuple):
    """Stop unwrapping on a port that we opened."""

    listener: GueListener


class WriteSysctl(NamedTuple):
    """Write a sysctl; `old` is what it held."""

    path: str
    old: str
    value: str
    reason: str


class ReplaceTable(NamedTuple):
    """Replace our nftables table in one transaction; an empty table is deleted."""

    old: NftTable | None
    table: NftTable


class AddRule(NamedTuple):
    """Add a routing rule."""

    rule: Rule


class RemoveRule(NamedTuple):
    """Remove a routing rule of ours."""

    rule: Rule


class AddRoute(NamedTuple):
    """Add a route to a table of its own."""

    key: TableRouteKey
    hop: NextHop


class ReplaceRoute(NamedTuple):
    """Let a route of ours lead elsewhere, in place."""

    key: TableRouteKey
    old: NextHop
    hop: NextHop


class RemoveRoute(NamedTuple):
    """Remove a route of ours from a table of its own."""

    key: TableRouteKey


Action = (
    AddService
    | EditService
    | RemoveService
    | AddDestination
    | EditDestination
    | QuiesceDestination
    | RemoveDestination
    | SetTimeouts
    | AddAddress
    | ReplaceAddress
    | RemoveAddress
    | EnsureLink
    | RemoveLink
    | OpenListener
    | CloseListener
    | WriteSysctl
    | ReplaceTable
    | AddRule
    | RemoveRule
    | AddRoute
    | ReplaceRoute
    | RemoveRoute
)

IpvsAction = (
    AddService
    | EditService
    | RemoveService
    | AddDestination
    | EditDestination
    | QuiesceDestination
    | RemoveDestination
    | SetTimeouts
)


def service_of(action: Action) -> ServiceKey | None:
    """Return the IPVS service that an action is about; None when it is about something else."""
    match action:
        case AddService() | EditService() | RemoveService():
            return action.key
        case AddDestination() | EditDestination() | QuiesceDestination() | RemoveDestination():
            return action.service
        case _:
            return None


class Result(Enum):
    """How an action ended."""

    DONE = "done"
    ALREADY = "already"
    """The kernel was so already: added meanwhile, or gone."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not tried, because something that it needs failed."""


class Outcome(NamedTuple):
    """How one action ended.

    Attributes:
        errno: the kernel's error number (positive), 0 when there was none.
        message: what the kernel said, in words; empty unless it failed or was skipped.
        hint: the remedy, or empty.
    """

    action: Action
    result: Result
    errno: int = 0
    message: str = ""
    hint: str = ""
