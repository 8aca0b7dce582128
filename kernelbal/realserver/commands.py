"""A setup as commands of `ip(8)` and `ip-fou(8)`, for files and scripts that do without kernelbal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kernelbal.model.address import AF_INET6, format_address
from kernelbal.model.network import AddressAttributes, AddressKey, GueListener, LinkState, Sysctl


class LinkCommands(NamedTuple):
    """How a tunnel device comes up.

    Attributes:
        create: makes it, where it is not one that comes with its module; else empty. Fails where it is there.
        up: brings it up.
    """

    create: str
    up: str


def link_commands(link: LinkState) -> LinkCommands:
    """Return the commands for a tunnel device."""
    create = ""
    if link.local is not None:
        create = f"ip link add {link.name} type {link.kind} mode any local {format_address(link.local)}"
    return LinkCommands(create, f"ip link set {link.name} up")


def listener_command(listener: GueListener) -> str:
    """Return the command that opens a UDP port for GUE; it fails where the port is open."""
    return f"{_fou(listener)} add port {listener.port} gue"


def listener_check(listener: GueListener) -> str:
    """Return the command that succeeds where the port is open; `ip fou show` lists both families."""
    family = " -6" if listener.family == AF_INET6 else ""
    return f"ip fou show | grep -qx 'port {listener.port} gue{family}'"


def _fou(listener: GueListener) -> str:
    return "ip -6 fou" if listener.family == AF_INET6 else "ip fou"


def address_command(key: AddressKey, attributes: AddressAttributes) -> str:
    """Return the command that adds an address, or leaves it as it is."""
    flags = (" nodad" if attributes.no_dad else "") + (" preferred_lft 0" if attributes.deprecated else "")
    return f"ip address replace {format_address(key.address)}/{key.prefix} dev {key.device}{flags}"


def sysctl_key(path: str) -> str:
    """Return how `sysctl.d(5)` and `sysctl(8)` name a sysctl.

    With slashes where a device's name has dots, or is a variable of a script and may have some.
    """
    return path if set(path) & {".", "$"} else path.replace("/", ".")


def kept_value(sysctl: Sysctl, values: Mapping[str, str | None]) -> str:
    """Return what to write: the value that is there, where an operator has chosen one that does as well."""
    own = values.get(sysctl.path)
    return own if own is not None and sysctl.holds(values) else sysctl.value
