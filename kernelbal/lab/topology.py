"""Topologies as data: hosts, switches, links, addresses, routes and sysctls.

The files in `topologies/` describe what a lab looks like; whoever builds it, of namespaces or of virtual
machines, reads the same file.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from importlib import resources
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING, Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from kernelbal.lab.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Iterable

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,14}$")]
"""A host, switch or topology; short enough to become a device name (IFNAMSIZ is 16)."""
Device = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,14}$")]
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
Gateway = IPv4Address | IPv6Address


class Role(StrEnum):
    """What a host is for."""

    CLIENT = "client"
    DIRECTOR = "director"
    REAL_SERVER = "real_server"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeviceSpec(_Frozen):
    """One network device of a host, plugged into a switch, with its addresses."""

    device: Device
    switch: Name
    addresses: tuple[Interface, ...] = ()


class RouteSpec(_Frozen):
    """A route through a gateway; `default` means all destinations of the gateway's family."""

    to: Literal["default"] | Network
    via: Gateway

    @model_validator(mode="after")
    def _one_family(self) -> Self:
        if self.to != "default" and self.to.version != self.via.version:
            raise ValueError(f"route to {self.to} cannot go via {self.via}: different address families")
        return self


class HostSpec(_Frozen):
    """A machine of the lab.

    Attributes:
        outside: a director's device towards the clients, else None.
        inside: a director's device towards the real servers; may be the same as `outside`.
        sysctls: dotted name -> value, set before the links exist, so that `conf.default` reaches them.
    """

    name: Name
    role: Role
    links: Annotated[tuple[DeviceSpec, ...], Field(min_length=1)]
    routes: tuple[RouteSpec, ...] = ()
    sysctls: dict[str, int] = Field(default_factory=dict)
    outside: Device | None = None
    inside: Device | None = None

    @model_validator(mode="after")
    def _devices_agree(self) -> Self:
        devices = [link.device for link in self.links]
        _refuse_duplicates(f"device of {self.name}", devices)
        sides = (self.outside, self.inside)
        if self.role is Role.DIRECTOR and None in sides:
            raise ValueError(f"director {self.name} must name its `outside` and `inside` devices")
        for side in sides:
            if side is not None and side not in devices:
                raise ValueError(f"{self.name} has no device {side}; its devices are {', '.join(devices)}")
        return self

    @model_validator(mode="after")
    def _gateways_on_link(self) -> Self:
        networks = [interface.network for link in self.links for interface in link.addresses]
        for route in self.routes:
            if not any(route.via in network for network in networks):
                raise ValueError(f"{self.name}: gateway {route.via} is in none of its networks")
        return self

    def address(self, version: Literal[4, 6] = 4, device: str | None = None) -> str:
        """Return the first address of a family, on `device` when given.

        Raises:
            KeyError: there is none.
        """
        for link in self.links:
            if device in (None, link.device):
                for interface in link.addresses:
                    if interface.version == version:
                        return str(interface.ip)
        raise KeyError(f"{self.name} has no IPv{version} address on {device or 'any device'}")


class Topology(_Frozen):
    """A whole lab: who is there and who is plugged in where."""

    name: Name
    switches: Annotated[tuple[Name, ...], Field(min_length=1)]
    hosts: Annotated[tuple[HostSpec, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse_duplicates("name", [*self.switches, *(host.name for host in self.hosts)])
        for host in self.hosts:
            for link in host.links:
                if link.switch not in self.switches:
                    raise ValueError(f"{host.name} is plugged into {link.switch}, which is not in `switches`")
        _refuse_duplicates("address", [str(interface.ip) for interface in self._interfaces()])
        return self

    def _interfaces(self) -> Iterable[Interface]:
        return (i for host in self.hosts for link in host.links for i in link.addresses)

    def host(self, name: str) -> HostSpec:
        """Return the host of that name.

        Raises:
            TopologyError: there is none.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise TopologyError(f"topology {self.name} has no host {name}", f"its hosts are {known}")

    def with_role(self, role: Role) -> tuple[HostSpec, ...]:
        """Return the hosts of a role, in the order of the file."""
        return tuple(host for host in self.hosts if host.role is role)


def _refuse_duplicates(what: str, values: Iterable[str]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise ValueError(f"{what} {value} is used {count} times")


def parse_topology(text: str, source: str) -> Topology:
    """Return the topology that YAML `text` describes.

    Raises:
        TopologyError: it is no YAML, or does not describe a consistent topology; every error is named.
    """
    try:
        return Topology.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise TopologyError(f"{source}: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{_where(each['loc'])}{each['msg']}" for each in error.errors())
        raise TopologyError(f"{source}: {problems}") from error


def _where(location: tuple[int | str, ...]) -> str:
    path = ".".join(map(str, location))
    return f"{path}: " if path else ""


def topology_names() -> tuple[str, ...]:
    """Return the names of the topologies that come with the package."""
    files = resources.files("kernelbal.lab").joinpath("topologies").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def load_topology(name: str) -> Topology:
    """Return a topology of the package by its name, such as `two-arm`.

    Raises:
        TopologyError: there is no such topology.
    """
    if name not in topology_names():
        raise TopologyError(f"no topology `{name}`", f"there are {', '.join(topology_names())}")
    path = resources.files("kernelbal.lab").joinpath("topologies", f"{name}.yaml")
    return parse_topology(path.read_text(encoding="utf-8"), path.name)
