"""What can be done to IPVS services and their real servers, each with its words and the kernel's refusals.

Error numbers mean what `net/netfilter/ipvs/ip_vs_ctl.c` makes of them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kernelbal.model.address import AF_INET
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Forwarding,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    TunnelFlag,
    TunnelType,
)
from kernelbal.model.units import format_duration
from kernelbal.plan.action import AGAIN, GONE, THERE, ActionRow, Effect, Errors, Meaning, Names, Phase, failed


class AddService(NamedTuple):
    """Create an IPVS service without destinations."""

    key: ServiceKey
    attributes: ServiceAttributes

    def text(self, names: Names) -> str:
        """Name it with its attributes."""
        host_bits = 32 if self.key.family == AF_INET else 128
        return f"service {service_title(self.key, names)} {service_text(self.attributes, host_bits)}"


class EditService(NamedTuple):
    """Change a service in place; its connections go on."""

    key: ServiceKey
    old: ServiceAttributes
    attributes: ServiceAttributes

    def text(self, names: Names) -> str:
        """Name what changes."""
        changes = _changes(self.old, self.attributes, _SERVICE_FIELDS)
        return f"service {service_title(self.key, names)} {changes}"


class RemoveService(NamedTuple):
    """Remove a service and all its destinations."""

    key: ServiceKey

    def text(self, names: Names) -> str:
        """Name it."""
        return f"service {service_title(self.key, names)} and its real servers"


class AddDestination(NamedTuple):
    """Add a real server to a service."""

    service: ServiceKey
    key: DestinationKey
    attributes: DestinationAttributes

    def text(self, names: Names) -> str:
        """Name it with its attributes."""
        return f"{_real_server(self, names)} {destination_text(self.attributes)}"


class EditDestination(NamedTuple):
    """Change a real server in place; its connections go on."""

    service: ServiceKey
    key: DestinationKey
    old: DestinationAttributes
    attributes: DestinationAttributes

    def text(self, names: Names) -> str:
        """Name what changes."""
        return f"{_real_server(self, names)} {_changes(self.old, self.attributes, _DESTINATION_FIELDS)}"


class QuiesceDestination(NamedTuple):
    """Set the weight of a leaving real server to 0 and let its connections end until `drain_s` has passed."""

    service: ServiceKey
    key: DestinationKey
    old: DestinationAttributes
    drain_s: float

    def text(self, names: Names) -> str:
        """Name it with the time that it has."""
        weight = f"weight {self.old.weight} -> 0"
        return f"{_real_server(self, names)} {weight}, removed within {self.drain_s:.0f}s"


class RemoveDestination(NamedTuple):
    """Remove a real server from a service; connections it still has are cut."""

    service: ServiceKey
    key: DestinationKey

    def text(self, names: Names) -> str:
        """Name it."""
        return _real_server(self, names)


ServiceAction = AddService | EditService | RemoveService
DestinationAction = AddDestination | EditDestination | QuiesceDestination | RemoveDestination

NO_SERVICE = failed("the virtual service is not in the kernel", AGAIN)
_NO_DESTINATION = failed("the real server is not in the kernel", AGAIN)
_BAD_DESTINATION = failed(
    "the kernel refuses the real server: its address is not unicast or not routable, its family differs from "
    "the virtual service's without tunnel forwarding, or a GUE tunnel lacks its port",
    "check the address, and that `lo` is up in this network namespace; families are mixed only by tunnel, "
    "and never while a sync daemon runs",
)
_BAD_WEIGHT = failed(
    "the weight is negative, or the lower connection threshold is above the upper",
    "use a weight of 0-65535 and a lower threshold not above the upper",
)
_BAD_SERVICE = failed(
    "the kernel refuses the virtual service: an attribute is out of range",
    "check the persistence prefix (1-32, IPv6 1-128) and that this kernel knows every flag",
)
IPVS_ERRORS = {
    errno.ESRCH: NO_SERVICE,
    errno.EAFNOSUPPORT: failed("the kernel's IPVS has no IPv6", "use a kernel with CONFIG_IP_VS_IPV6"),
    errno.EPROTONOSUPPORT: failed(
        "the kernel's IPVS does not balance this protocol",
        "use a kernel with CONFIG_IP_VS_PROTO_TCP, _UDP and _SCTP",
    ),
    errno.EOPNOTSUPP: failed("the kernel's IPVS does not know this operation"),
    errno.EMSGSIZE: failed("the request is larger than the socket takes"),
    errno.ENOBUFS: failed("the kernel's answer was lost, and the table does not hold it", AGAIN),
}
"""For everything that is asked of IPVS (`net/netfilter/ipvs/ip_vs_ctl.c`)."""


def _module_missing(action: AddService | EditService) -> Meaning:
    """The kernel gives one number for scheduler and persistence engine."""
    if not action.attributes.engine:
        return failed(
            "the kernel has no scheduler `{attributes.scheduler}`", "modprobe ip_vs_{attributes.scheduler}"
        )
    return failed(
        "the kernel has no scheduler `{attributes.scheduler}` or no persistence engine `{attributes.engine}`",
        "modprobe -a ip_vs_{attributes.scheduler} ip_vs_pe_{attributes.engine}",
    )


_ATTRIBUTES_REFUSED: Errors = {
    errno.ENOENT: _module_missing,
    errno.EINVAL: _BAD_SERVICE,
    errno.ERANGE: _BAD_SERVICE,
}
_WAS_GONE = {errno.ENOENT: GONE, errno.ESRCH: GONE}

SERVICE_ROWS: Mapping[type[Any], ActionRow] = {
    AddService: ActionRow(
        Effect.ADD,
        Phase.SERVICES,
        "add virtual service",
        {
            **IPVS_ERRORS,
            **_ATTRIBUTES_REFUSED,
            errno.EEXIST: THERE,
            errno.EADDRNOTAVAIL: failed("the virtual address cannot be used here"),
        },
    ),
    EditService: ActionRow(
        Effect.CHANGE, Phase.SERVICES, "edit virtual service", {**IPVS_ERRORS, **_ATTRIBUTES_REFUSED}
    ),
    RemoveService: ActionRow(
        Effect.REMOVE, Phase.REMOVE_SERVICES, "remove virtual service", {**IPVS_ERRORS, **_WAS_GONE}
    ),
    AddDestination: ActionRow(
        Effect.ADD,
        Phase.DESTINATIONS,
        "add real server",
        {
            **IPVS_ERRORS,
            errno.EEXIST: THERE,
            errno.EINVAL: _BAD_DESTINATION,
            errno.ERANGE: _BAD_WEIGHT,
            errno.EADDRNOTAVAIL: _BAD_DESTINATION,
        },
    ),
    EditDestination: ActionRow(
        Effect.CHANGE,
        Phase.DESTINATIONS,
        "edit real server",
        {
            **IPVS_ERRORS,
            errno.ENOENT: _NO_DESTINATION,
            errno.EINVAL: _BAD_DESTINATION,
            errno.ERANGE: _BAD_WEIGHT,
        },
    ),
    QuiesceDestination: ActionRow(
        Effect.CHANGE, Phase.QUIESCE, "quiesce real server", {**IPVS_ERRORS, **_WAS_GONE}
    ),
    RemoveDestination: ActionRow(
        Effect.REMOVE, Phase.REMOVE_DESTINATIONS, "remove real server", {**IPVS_ERRORS, **_WAS_GONE}
    ),
}
"""What the planner and the engine know of each."""


def service_title(key: ServiceKey, names: Names) -> str:
    """Return an IPVS service with the name of its virtual service, where that is known."""
    name = names.get(key)
    return f"`{name}` {key}" if name else str(key)


def _real_server(action: DestinationAction, names: Names) -> str:
    return f"real server {action.key} of {service_title(action.service, names)}"


def destination_text(attributes: DestinationAttributes) -> str:
    """Return forwarding, weight and whatever else is set, such as `dsr weight 100`."""
    parts = [Forwarding(attributes.forwarding).name.lower()]
    if attributes.forwarding == Forwarding.TUNNEL:
        parts.append(_tunnel(attributes))
    parts.append(f"weight {attributes.weight}")
    if attributes.upper_threshold:
        parts.append(f"thresholds {attributes.lower_threshold}-{attributes.upper_threshold}")
    return " ".join(parts)


def flag_names(scheduler: str, flags: int) -> tuple[str, ...]:
    """Return the names of the flags that are set, in the words of the site file."""
    bits = (
        (ServiceFlag.SCHED1, f"{scheduler}-fallback"),
        (ServiceFlag.SCHED2, f"{scheduler}-port"),
        (ServiceFlag.SCHED3, "flag-3"),
        (ServiceFlag.ONE_PACKET, "one-packet"),
    )
    return tuple(name for bit, name in bits if flags & bit)


def service_text(attributes: ServiceAttributes, host_bits: int) -> str:
    """Return scheduler, flags and persistence, such as `wlc persistent 5m /24`."""
    parts = [attributes.scheduler, *flag_names(attributes.scheduler, attributes.flags)]
    if attributes.flags & ServiceFlag.PERSISTENT:
        parts.append(f"persistent {format_duration(attributes.timeout_s)}")
        if attributes.prefix != host_bits:
            parts.append(f"/{attributes.prefix}")
    if attributes.engine:
        parts.append(f"engine {attributes.engine}")
    return " ".join(parts)


def _tunnel(attributes: DestinationAttributes) -> str:
    kind = TunnelType(attributes.tunnel_type).name.lower()
    port = f" port {attributes.tunnel_port}" if attributes.tunnel_port else ""
    checksum = TunnelFlag(attributes.tunnel_flags)
    return f"{kind}{port}" + ("" if checksum is TunnelFlag.NOCSUM else f" {checksum.name.lower()}")


_SERVICE_FIELDS: Mapping[str, Callable[[Any], str]] = {
    "scheduler": str,
    "flags": lambda value: str(ServiceFlag(value).name or 0).lower(),
    "timeout_s": lambda value: f"{value}s",
    "prefix": lambda value: f"/{value}",
    "engine": lambda value: value or "none",
}
_DESTINATION_FIELDS: Mapping[str, Callable[[Any], str]] = {
    "forwarding": lambda value: Forwarding(value).name.lower(),
    "weight": str,
    "upper_threshold": str,
    "lower_threshold": str,
    "tunnel_type": lambda value: TunnelType(value).name.lower(),
    "tunnel_port": str,
    "tunnel_flags": lambda value: TunnelFlag(value).name.lower(),
}


def _changes(
    old: ServiceAttributes | DestinationAttributes,
    new: ServiceAttributes | DestinationAttributes,
    fields: Mapping[str, Callable[[Any], str]],
) -> str:
    return ", ".join(
        f"{name.removesuffix('_s')} {show(getattr(old, name))} -> {show(getattr(new, name))}"
        for name, show in fields.items()
        if getattr(old, name) != getattr(new, name)
    )
