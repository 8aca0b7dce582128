"""Actions in one line each, for people, and as plain data, for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kernelbal.model.address import host_prefix
from kernelbal.model.ipvs import (
    DestinationAttributes,
    Forwarding,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    TunnelFlag,
    TunnelType,
)
from kernelbal.model.network import AddressAttributes
from kernelbal.model.units import format_duration
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddDestination,
    AddRoute,
    AddRule,
    AddService,
    CloseListener,
    EditDestination,
    EditService,
    EnsureLink,
    OpenListener,
    QuiesceDestination,
    RemoveAddress,
    RemoveDestination,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    RemoveService,
    ReplaceAddress,
    ReplaceRoute,
    ReplaceTable,
    SetTimeouts,
    WriteSysctl,
)

Names = Mapping[ServiceKey, str]
"""Name of the virtual service of each IPVS service."""


class Line(NamedTuple):
    """An action for people.

    Attributes:
        sign: `+` adds, `~` changes, `-` removes.
        text: what is done to what.
    """

    sign: str
    text: str


_SIGNS: Mapping[type[Action], str] = {
    **dict.fromkeys((AddService, AddDestination, AddAddress, EnsureLink, OpenListener), "+"),
    **dict.fromkeys((EditService, EditDestination, QuiesceDestination), "~"),
    **dict.fromkeys((SetTimeouts, ReplaceAddress, WriteSysctl), "~"),
    **dict.fromkeys((RemoveService, RemoveDestination, RemoveAddress, RemoveLink, CloseListener), "-"),
    AddRule: "+",
    AddRoute: "+",
    ReplaceRoute: "~",
    RemoveRule: "-",
    RemoveRoute: "-",
}
"""The signs of all kinds of actions but `ReplaceTable`, whose sign depends on its contents."""


def sign_of(action: Action) -> str:
    """Return what `describe` has as sign, without wording the line: a plan may hold 100,000 of them."""
    return _SIGNS.get(type(action)) or describe(action, {}).sign


def describe(action: Action, names: Names) -> Line:
    """Return one line for an action."""
    match action:
        case AddService(key, attributes):
            return Line("+", f"service {_service(key, names)} {_attributes(key, attributes)}")
        case EditService(key, old, new):
            return Line("~", f"service {_service(key, names)} {_changes(old, new, _SERVICE_FIELDS)}")
        case RemoveService(key):
            return Line("-", f"service {_service(key, names)} and its real servers")
        case SetTimeouts(old, new):
            was = f"{_timeouts(old)} -> " if old else ""
            return Line("~", f"timeouts {was}{_timeouts(new)}")
        case AddDestination() | EditDestination() | QuiesceDestination() | RemoveDestination():
            return _describe_destination(action, names)
        case _:
            return _describe_network(action)


def _describe_destination(
    action: AddDestination | EditDestination | QuiesceDestination | RemoveDestination, names: Names
) -> Line:
    where = f"real server {action.key} of {_service(action.service, names)}"
    match action:
        case AddDestination(_, _, attributes):
            return Line("+", f"{where} {destination_text(attributes)}")
        case EditDestination(_, _, old, new):
            return Line("~", f"{where} {_changes(old, new, _DESTINATION_FIELDS)}")
        case QuiesceDestination(_, _, old, drain_s):
            return Line("~", f"{where} weight {old.weight} -> 0, removed within {drain_s:.0f}s")
        case RemoveDestination():
            return Line("-", where)


def _describe_network(action: Action) -> Line:
    match action:
        case AddAddress(key, attributes):
            return Line("+", f"address {key}{_address_flags(attributes)}")
        case ReplaceAddress(key, _, attributes):
            return Line("~", f"address {key}{_address_flags(attributes)}")
        case RemoveAddress(key):
            return Line("-", f"address {key}")
        case EnsureLink(link):
            return Line("+", f"link {link.name} up")
        case RemoveLink(name):
            return Line("-", f"link {name}")
        case OpenListener(listener):
            return Line("+", f"listener {listener}")
        case CloseListener(listener):
            return Line("-", f"listener {listener}")
        case WriteSysctl(path, old, value, reason):
            return Line("~", f"sysctl {path.replace('/', '.')} {old or '(unset)'} -> {value}  # {reason}")
        case ReplaceTable(old, table):
            sign = "-" if table.empty else "~" if old else "+"
            return Line(sign, f"nftables table {table.title}")
        case _:
            return _describe_routing(action)


def _describe_routing(action: Action) -> Line:
    match action:
        case AddRule(rule):
            return Line("+", f"rule {rule}")
        case RemoveRule(rule):
            return Line("-", f"rule {rule}")
        case AddRoute(key, hop):
            return Line("+", f"route {key} {hop}")
        case ReplaceRoute(key, old, hop):
            return Line("~", f"route {key} {old} -> {hop}")
        case RemoveRoute(key):
            return Line("-", f"route {key}")
        case _:
            raise AssertionError(action)


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


def _attributes(key: ServiceKey, attributes: ServiceAttributes) -> str:
    host_bits = host_prefix(key.address) if key.address else (32 if key.family == 2 else 128)
    return service_text(attributes, host_bits)


def _service(key: ServiceKey, names: Names) -> str:
    name = names.get(key)
    return f"`{name}` {key}" if name else str(key)


def _tunnel(attributes: DestinationAttributes) -> str:
    kind = TunnelType(attributes.tunnel_type).name.lower()
    port = f" port {attributes.tunnel_port}" if attributes.tunnel_port else ""
    checksum = TunnelFlag(attributes.tunnel_flags)
    return f"{kind}{port}" + ("" if checksum is TunnelFlag.NOCSUM else f" {checksum.name.lower()}")


def _address_flags(attributes: AddressAttributes) -> str:
    names = (
        (attributes.no_dad, "nodad"),
        (attributes.deprecated, "preferred_lft 0"),
        (attributes.no_prefix_route, "noprefixroute"),
    )
    return "".join(f" {name}" for is_set, name in names if is_set)


def _timeouts(timeouts: tuple[int, int, int]) -> str:
    tcp_s, tcp_fin_s, udp_s = timeouts
    return f"tcp {tcp_s}s tcp_fin {tcp_fin_s}s udp {udp_s}s"


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
