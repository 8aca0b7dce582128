"""Sites, desired and observed objects in few words, for tests."""

import yaml

from kernelbal.model.address import Address, family_of, host_prefix, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    Forwarding,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    VirtualServer,
)
from kernelbal.model.network import AddressAttributes, AddressKey, Link, ObservedAddress, Route
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kind import DesiredState

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}


def site(text: str) -> Site:
    """Return the site of a YAML document."""
    return Site.model_validate(yaml.safe_load(text) or {})


def node(**interfaces: str) -> Node:
    """Return a node; `outside` is on eth0 and `inside` on eth1 by default."""
    devices = interfaces or {"outside": "eth0", "inside": "eth1"}
    return Node.model_validate({"name": "d1", "interfaces": devices})


def desired(text: str, **interfaces: str) -> DesiredState:
    """Return the desired state of a site on node d1."""
    return desired_state(site(text), node(**interfaces))


def service(address: str, port: int, protocol: str = "tcp") -> ServiceKey:
    """Return the key of a service by address."""
    packed = parse_address(address)
    return ServiceKey(family_of(packed), PROTOCOLS[protocol], packed, port)


def by_mark(mark: int, family: int = 2) -> ServiceKey:
    """Return the key of a service by firewall mark."""
    return ServiceKey(family, 0, Address(b""), 0, mark)


def real(address: str, port: int = 80) -> DestinationKey:
    """Return the key of a real server."""
    return DestinationKey(parse_address(address), port)


def weighing(weight: int, forwarding: Forwarding = Forwarding.NAT, **more: int) -> DestinationAttributes:
    """Return the attributes of a real server."""
    return DestinationAttributes(int(forwarding), weight, **more)


def virtual(
    *destinations: tuple[DestinationKey, DestinationAttributes],
    scheduler: str = "wlc",
    flags: ServiceFlag = ServiceFlag.NONE,
    prefix: int = 32,
) -> VirtualServer:
    """Return a service with its real servers."""
    return VirtualServer(ServiceAttributes(scheduler, int(flags), 0, prefix, ""), dict(destinations))


def connected(active: int, inactive: int = 0) -> DestinationCounters:
    """Return the counters of a real server with connections."""
    return DestinationCounters(active, inactive, 0)


def place(device: str, address: str, prefix: int | None = None) -> AddressKey:
    """Return an address on a device; a single host's by default."""
    packed = parse_address(address)
    return AddressKey(device, packed, host_prefix(packed) if prefix is None else prefix)


def held(key: AddressKey, *, ours: bool = False, **attributes: bool) -> ObservedAddress:
    """Return an address that the kernel holds."""
    return ObservedAddress(key, AddressAttributes(**attributes), ours)


def link(name: str, *, up: bool = True, kind: str = "veth", mtu_bytes: int = 1500) -> Link:
    """Return a device."""
    return Link(name, 2, up, kind, mtu_bytes, "52:54:00:12:34:56")


def route(network: str, device: str, via: str | None = None, metric: int = 0) -> Route:
    """Return a route to `address/prefix`."""
    address, _, prefix = network.partition("/")
    gateway = None if via is None else parse_address(via)
    return Route(parse_address(address), int(prefix), gateway, device, metric)
