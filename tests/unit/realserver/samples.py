"""Real servers in few words, for tests of their preparation."""

from kernelbal.model.address import parse_address
from kernelbal.model.ipvs import TunnelType
from kernelbal.model.network import ObservedAddress
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.resolve import PreparationRequest
from kernelbal.realserver.setup import HostState
from tests.unit.plan.samples import held, link, place, route

VIP, VIP6, OTHER = parse_address("10.0.0.80"), parse_address("fd00::80"), parse_address("10.0.0.81")
REAL, REAL6 = parse_address("10.0.0.11"), parse_address("fd00::11")
HTTP = PortMap(6, 80, 80)
IPIP, GRE, GUE = (
    Encapsulation(TunnelType.IPIP),
    Encapsulation(TunnelType.GRE),
    Encapsulation(TunnelType.GUE, 5555),
)
LINKS = (link("lo", kind="")._replace(mtu_bytes=65536), link("eth0"), link("eth1"), link("eth2", up=False))
ADDRESSES = (
    held(place("lo", "127.0.0.1", 8)),
    held(place("eth0", "10.0.0.11", 24)),
    held(place("eth0", "fe80::1", 64)),
    held(place("eth0", "fd00::11", 64)),
    held(place("eth1", "192.0.2.11", 24)),
)
SYSCTLS = {
    f"net/ipv4/conf/{name}/{what}": "1" if what == "rp_filter" else "0"
    for name in ("all", "eth0", "eth1", "tunl0", "gre0", "kernelbal6")
    for what in ("arp_ignore", "arp_announce", "rp_filter")
}


def host(*more: ObservedAddress, **settings: object) -> HostState:
    """A host with two networks; its default route leads out of eth0."""
    values = {
        "links": LINKS,
        "addresses": (*ADDRESSES, *more),
        "routes": (route("0.0.0.0/0", "eth0", "10.0.0.254"), route("::/0", "eth0", "fd00::254")),
        "sysctls": SYSCTLS,
    }
    return HostState(**{**values, **settings})  # type: ignore[arg-type] # a test gives what it means


def prepared(
    virtual: bytes = VIP,
    method: Method = Method.LOOPBACK,
    tunnel: Encapsulation | None = None,
    *ports: PortMap,
    real: bytes | None = None,
    interfaces: tuple[str, ...] = ("eth0",),
) -> Preparation:
    """A preparation of a host like `host()`."""
    own = REAL if len(virtual) == 4 else REAL6
    return Preparation(virtual, real or own, interfaces, method, tunnel, own, ports)  # type: ignore[arg-type] # addresses are bytes


def asked(virtual: bytes = VIP, **settings: object) -> PreparationRequest:
    """A request for a virtual address."""
    return PreparationRequest(virtual, **settings)  # type: ignore[arg-type] # a test gives what it means
