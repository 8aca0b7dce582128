"""A real server in few words and in memory, for tests of its preparation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kernelbal.model.address import parse_address
from kernelbal.model.ipvs import TunnelType
from kernelbal.model.network import ObservedAddress
from kernelbal.realserver.host import read_host
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.resolve import PreparationRequest
from kernelbal.realserver.run import FilesFor, HostReconciler, PreparedRun
from kernelbal.realserver.setup import HostState
from kernelbal.realserver.store import RecordStore
from tests.support.builders import held, link, place, route
from tests.support.fake_kernel import FakeKernel

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


def fake_host() -> FakeKernel:
    """`host()` as a kernel: strict reverse-path filtering and nothing prepared."""
    return FakeKernel(
        addresses={each.key: each for each in ADDRESSES},
        links={link.name: link for link in LINKS},
        routes=host().routes,
        sysctls=dict(SYSCTLS),
    )


def _works(_: Sequence[str]) -> str:
    return ""


@dataclass(slots=True)
class Programs:
    """Programs of a host.

    Attributes:
        run: those that were to be run.
        fault: returns what programs that shall fail say, else nothing.
    """

    run: list[tuple[str, ...]] = field(default_factory=list)
    fault: Callable[[Sequence[str]], str] = _works

    def __call__(self, commands: Sequence[Sequence[str]]) -> str:
        """Remember what was to be run, up to the first that `fault` lets fail."""
        for command in commands:
            self.run.append(tuple(command))
            if said := self.fault(command):
                return said
        return ""


class FakeRealServer(HostReconciler):
    """A real server in memory, with shorter ways to what tests need."""

    def __init__(self, directory: Path, files_for: FilesFor) -> None:
        super().__init__(fake_host(), RecordStore(directory), files_for, Programs())

    @property
    def fake(self) -> FakeKernel:
        """Its kernel and files."""
        assert isinstance(self.kernel, FakeKernel)
        return self.kernel

    @property
    def programs(self) -> Programs:
        """Its programs."""
        assert isinstance(self.run_programs, Programs)
        return self.run_programs

    def back_to(self, *preparations: Preparation, persist: str = "unit") -> PreparedRun:
        """Plan to leave only these."""
        return self.prepare(preparations, persist, read_host(self.kernel), self.store.load_record())
