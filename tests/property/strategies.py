"""Sites, kernels and the world in which a reconciler meets them, for property tests.

Everything comes from a small universe, so that two sites often share a service, an address or a real server.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from kernelbal.model.address import Address, family_of, host_prefix, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    Protocol,
    ServiceAttributes,
    ServiceKey,
    Timeouts,
    VirtualServer,
)
from kernelbal.model.network import AddressAttributes, AddressKey, Link, ObservedAddress
from kernelbal.model.nft import NftTable
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.plan.action import Action
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kind import DEFAULT_OPTIONS, DesiredState, Options
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.routing import ROUTING
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.kinds.tables import FOREIGN_TABLES
from kernelbal.plan.kinds.timeouts import TIMEOUTS
from kernelbal.plan.planning import scopes
from kernelbal.plan.sysctls import FORWARDING, IPVS_SYSCTLS, VS_PREFIX, connection_tracking, no_redirects
from kernelbal.reconcile.round import Reconciler, RoundReport
from tests.support.fake_kernel import FakeKernel
from tests.support.fake_store import MemoryStore

DEVICES = ("eth0", "eth1", "eth2")
VIRTUAL = ("192.0.2.10", "2001:db8::10")
FOREIGN_VIRTUAL = ("192.0.2.200", "2001:db8::200")
SHARED = ("192.0.2.10/24", "192.0.2.11/24", "2001:db8::10/64")
REAL = {4: tuple(f"10.0.0.{n}" for n in range(11, 14)), 6: tuple(f"fd00::{n}" for n in range(11, 14))}
SORRY = {4: "10.0.0.99", 6: "fd00::99"}
PORT_GROUPS: tuple[dict[str, Any], ...] = (
    {"ports": [80]},
    {"ports": [443, 8443]},
    {"ports": ["8000-8010"]},
)
"""Disjoint, so that any of them can share an address."""
MAX_DRAIN_S = 60.0

Flow = tuple[Address, int, int]
"""Address, protocol and port that a client connects to."""
FLOWS: tuple[Flow, ...] = tuple(
    (parse_address(address), protocol, port)
    for address in VIRTUAL
    for protocol in (Protocol.TCP, Protocol.UDP)
    for port in (80, 443, 8443, 8005)
)


def _family(address: str) -> int:
    return 6 if ":" in address else 4


@st.composite
def real_servers(draw: st.DrawFn, family: int) -> list[dict[str, Any]]:
    addresses = draw(st.lists(st.sampled_from(REAL[family]), unique=True, max_size=3))
    return [
        {"address": a, "weight": draw(st.integers(0, 1)), "upper_threshold": draw(st.sampled_from([0, 9]))}
        for a in addresses
    ]


@st.composite
def virtual_services(draw: st.DrawFn, slot: tuple[str, str, int]) -> dict[str, Any]:
    address, protocol, group = slot
    family = _family(address)
    forwarding = draw(st.sampled_from(["nat", "dsr", "tunnel"]))
    service: dict[str, Any] = {
        "name": f"{protocol}-{group}-{VIRTUAL.index(address)}",
        "address": address,
        "protocol": protocol,
        **PORT_GROUPS[group],
        "port_following": draw(st.booleans()),
        "forwarding": forwarding,
        "one_armed": forwarding == "nat" and draw(st.booleans()),
        "scheduler": draw(st.sampled_from(["wlc", "sh"])),
        "drain": draw(st.sampled_from(["0s", "30s", "60s"])),
        "real_servers": draw(real_servers(family)),
    }
    if draw(st.booleans()):
        method = draw(st.sampled_from(["nat", "dsr"]))
        service["sorry_server"] = {"address": SORRY[family], "forwarding": method}
    if draw(st.booleans()):
        service["persistence"] = {"source_ip": {"timeout": "5m", "prefix": draw(st.sampled_from([24, 32]))}}
    return service


_SLOTS = st.tuples(
    st.sampled_from(VIRTUAL), st.sampled_from(["tcp", "tcp", "udp"]), st.integers(0, len(PORT_GROUPS) - 1)
)


_SLOT_LISTS = st.lists(_SLOTS, unique=True, min_size=1, max_size=4)


ONE_TO_ONE = (
    {"name": "a", "outside": "192.0.2.51", "inside": "10.0.0.51"},
    {"name": "b", "outside": "2001:db8::51", "inside": "fd00::51"},
)
FORWARDS = (
    {"name": "a", "outside": "192.0.2.10", "ports": 2222, "inside": "10.0.0.52", "inside_port": 22},
    {
        "name": "b",
        "outside": "2001:db8::52",
        "protocol": "udp",
        "ports": [53, "1000-1010"],
        "inside": "fd00::52",
    },
)
SOURCES = (
    {"name": "a", "inside": "10.0.0.0/25", "outside": "192.0.2.53"},
    {"name": "b", "inside": "10.0.0.0/8", "masquerade": True},
    {"name": "c", "inside": "fd00::/16", "masquerade": True},
)
ROUTES = (
    {"name": "a", "source": "10.0.0.51", "gateway": "192.0.2.254"},
    {"name": "b", "source": "10.0.0.52", "gateway": "192.0.2.253", "table": 300},
    {"name": "c", "destination": "2001:db8:9::/48", "network": "inside", "priority": 500},
)


def _some(entries: tuple[dict[str, Any], ...]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.sampled_from(entries), unique_by=lambda entry: entry["name"], max_size=len(entries))


EDGES = st.none() | st.fixed_dictionaries(
    {
        "one_to_one": _some(ONE_TO_ONE),
        "forward": _some(FORWARDS),
        "source_nat": _some(SOURCES),
        "hairpin": st.booleans(),
        "routes": _some(ROUTES),
    }
)


@st.composite
def sites(draw: st.DrawFn, slots: list[tuple[str, str, int]] | None = None) -> Site:
    """Return a site without overlapping services, at most one in each of the slots."""
    chosen = draw(_SLOT_LISTS) if slots is None else [slot for slot in slots if draw(st.integers(0, 4))]
    shared = draw(st.lists(st.sampled_from(SHARED), unique=True))
    return Site.model_validate(
        {
            "networks": {
                "outside": {"shared_addresses": shared},
                "inside": {"shared_addresses": ["10.0.0.1/24"]},
            },
            "kernel": {"timeouts": {"tcp": draw(st.sampled_from(["900s", "300s"]))}},
            "edge": draw(EDGES),
            "virtual_services": [draw(virtual_services(slot)) for slot in chosen],
        }
    )


NODES = st.sampled_from(("eth0", "eth2")).map(
    lambda outside: Node.model_validate({"name": "d1", "interfaces": {"outside": outside, "inside": "eth1"}})
)
DESIRED = st.builds(desired_state, sites(), NODES)
NOTHING = DesiredState()


@st.composite
def changes(draw: st.DrawFn, count: int = 2) -> list[DesiredState]:
    """Return states of one site over time: most services are in all of them, each time a little different."""
    slots = draw(_SLOT_LISTS)
    return [desired_state(draw(sites(slots)), draw(NODES)) for _ in range(count)]


CHANGE = changes()


# --- kernels that others have used before us ---


def _service_key(address: str, port: int) -> ServiceKey:
    packed = parse_address(address)
    return ServiceKey(10 if len(packed) == 16 else 2, 6, packed, port)


@st.composite
def foreign_services(draw: st.DrawFn, address: str, port: int) -> tuple[ServiceKey, VirtualServer]:
    key = _service_key(address, port)
    attributes = ServiceAttributes("rr", 0, 0, host_prefix(key.address), "")
    real = draw(st.lists(st.sampled_from(REAL[_family(address)]), unique=True, max_size=2))
    destinations = {
        DestinationKey(parse_address(one), port): DestinationAttributes(0, draw(st.integers(0, 3)))
        for one in real
    }
    return key, VirtualServer(attributes, destinations)


def _foreign_address(device: str, text: str, prefix: int) -> ObservedAddress:
    return ObservedAddress(AddressKey(device, parse_address(text), prefix), AddressAttributes(), ours=False)


FOREIGN_ADDRESSES = (
    _foreign_address("eth0", "192.0.2.5", 24),
    _foreign_address("eth0", "192.0.2.10", 24),
    _foreign_address("eth0", "192.0.2.11", 32),
    _foreign_address("eth0", "2001:db8::10", 64),
    _foreign_address("eth1", "10.0.0.1", 24),
    _foreign_address("eth1", "192.0.2.10", 32),
)
SYSCTL_PATHS = tuple(
    [f"{VS_PREFIX}{sysctl.name}" for sysctl in IPVS_SYSCTLS]
    + [sysctl.path for sysctl in (*FORWARDING.values(), *connection_tracking(900))]
    + [sysctl.path for sysctl in no_redirects(frozenset(DEVICES))]
)
_SOME_PATHS = st.sets(st.sampled_from(SYSCTL_PATHS), max_size=6)


@st.composite
def kernels(draw: st.DrawFn) -> FakeKernel:
    """Return a kernel that holds some of the universe already, none of it ours."""
    places = draw(st.lists(st.sampled_from([(a, p) for a in FOREIGN_VIRTUAL for p in (80, 90)]), unique=True))
    addresses = draw(st.lists(st.sampled_from(FOREIGN_ADDRESSES), unique=True))
    services = dict(draw(foreign_services(address, port)) for address, port in places)
    return FakeKernel(
        services=services,
        counters={key: {} for key in services},
        addresses={address.key: address for address in addresses},
        links={name: Link(name, index, True, "veth", 1500, "") for index, name in enumerate(DEVICES, 2)},
        sysctls=dict.fromkeys(SYSCTL_PATHS, "0") | dict.fromkeys(draw(_SOME_PATHS), "1"),
        foreign_tables=("ip filter",),
        timeouts=draw(st.sampled_from([Timeouts(), Timeouts(100, 20, 30)])),
    )


# --- the world ---


@dataclass(slots=True)
class World:
    """A kernel, a record and a clock that a test turns by hand."""

    kernel: FakeKernel
    store: MemoryStore = field(default_factory=MemoryStore)
    now: float = 1000.0

    def apply(self, desired: DesiredState, options: Options = DEFAULT_OPTIONS) -> RoundReport:
        """Run one round."""
        reconciler = Reconciler(self.kernel, self.store, lambda: self.now)
        return reconciler.perform(reconciler.prepare(desired, options), options)

    def finish(self, desired: DesiredState) -> RoundReport:
        """Run rounds until every drain's deadline has passed; returns the last report."""
        self.apply(desired)
        self.now += MAX_DRAIN_S
        return self.apply(desired)

    def load(self, counts: dict[int, int]) -> None:
        """Give the destinations connections: the n-th of all gets `counts[n]`."""
        places = [(key, name) for key, server in self.kernel.services.items() for name in server.destinations]
        for index, (key, name) in enumerate(places):
            live = DestinationCounters(counts.get(index, 0), 0, 0)
            self.kernel.counters.setdefault(key, {})[name] = live


def image(kernel: FakeKernel) -> tuple[object, ...]:
    """Return everything that a release must leave as it was."""
    state = kernel.observe({**scopes(DIRECTOR), SYSCTLS: SYSCTL_PATHS})
    return (
        state.of(SERVICES),
        {address.key: address for address in state.of(ADDRESSES)},
        {link.name for link in state.of(LINKS)},
        state.of(SYSCTLS),
        kernel.nft,
        state.of(FOREIGN_TABLES),
        state.of(TIMEOUTS),
        state.of(ROUTING).rules,
        state.of(ROUTING).routes,
    )


def answered(kernel: FakeKernel, flow: Flow) -> bool:
    """Return whether a new connection would reach a real server, by the kernel's rules.

    The address must be local; a firewall mark is looked for before address and port
    (`ip_vs_service_find`), and a service without a real server of weight above 0 refuses.
    """
    address, protocol, port = flow
    if all(key.address != address for key in kernel.addresses):
        return False
    family = family_of(address)
    by_mark = ServiceKey(family, 0, Address(b""), 0, mark_of(kernel.nft, flow))
    server = kernel.services.get(by_mark) or kernel.services.get(ServiceKey(family, protocol, address, port))
    return server is not None and any(each.weight for each in server.destinations.values())


def mark_of(table: NftTable | None, flow: Flow) -> int:
    """Return the mark that a table gives to the packets of a flow, 0 for none."""
    address, protocol, port = flow
    hooks = {chain.hook for chain in table.chains} if table else set()
    elements = [e for each in table.sets if each.value_type == "mark" for e in each.elements] if table else []
    for text, name, ports, mark in elements if "prerouting" in hooks else ():
        low, _, high = ports.partition("-")
        same = parse_address(text) == address and Protocol[name.upper()] == protocol
        if same and int(low) <= port <= int(high or low):
            return int(mark, 16)
    return 0


COUNTS = st.dictionaries(st.integers(0, 12), st.integers(1, 5), max_size=8)
"""Connections by position; see `World.load`."""


class Crash(Exception):
    """The process ended in the middle of an apply."""


def crash_after(count: int) -> Callable[[Action], int]:
    """Return a `FakeKernel.refuse` that lets `count` actions happen, and no more."""
    left = iter(range(count))

    def refuse(_: Action) -> int:
        if next(left, None) is None:
            raise Crash
        return 0

    return refuse
