"""A director with one service, to be varied by each test."""

from kernelbal.model.address import Address, family_of, host_prefix, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    Forwarding,
    Protocol,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    VirtualServer,
)
from kernelbal.model.network import AddressKey, Link, Route
from kernelbal.plan.explain.query import ExplainQuery, FactSource, KernelView

PERSISTENT = ServiceFlag.PERSISTENT
CLIENT = parse_address("198.51.100.7")
VIRTUAL = parse_address("192.0.2.10")
DEFAULT_GATEWAY = parse_address("192.0.2.254")
ANY = Address(bytes(4))


def address(text: str) -> Address:
    return parse_address(text)


def query(port: int = 80, client: Address = CLIENT, **changes: object) -> ExplainQuery:
    return ExplainQuery(client, VIRTUAL, port)._replace(**changes)


def service_key(port: int = 80, protocol: Protocol = Protocol.TCP, virtual: Address = VIRTUAL) -> ServiceKey:
    return ServiceKey(family_of(virtual), protocol, virtual, port)


def mark_key(mark: int) -> ServiceKey:
    return ServiceKey(2, 0, Address(b""), 0, mark)


def real_server(number: int, port: int = 80) -> DestinationKey:
    return DestinationKey(address(f"10.0.0.{number}"), port)


def attributes(
    weight: int = 1, forwarding: Forwarding = Forwarding.NAT, upper: int = 0, lower: int = 0
) -> DestinationAttributes:
    return DestinationAttributes(forwarding, weight, upper, lower)


def service(
    scheduler: str = "wlc",
    *weights: int,
    flags: int = 0,
    prefix: int = 0,
    port: int = 80,
    forwarding: Forwarding = Forwarding.NAT,
    engine: str = "",
) -> VirtualServer:
    """A service with real servers 10.0.0.11, 10.0.0.12 and so on, one per weight."""
    timeout_s = 300 if flags & PERSISTENT else 0
    values = ServiceAttributes(scheduler, flags, timeout_s, prefix or host_prefix(VIRTUAL), engine)
    return VirtualServer(
        values,
        {real_server(11 + i, port): attributes(weight, forwarding) for i, weight in enumerate(weights)},
    )


def counters(active: int = 0, inactive: int = 0) -> DestinationCounters:
    return DestinationCounters(active, inactive, 0)


def view(server: VirtualServer | None = None, key: ServiceKey | None = None, **changes: object) -> KernelView:
    """A live director: outside on eth0, inside on eth1."""
    facts: dict[str, object] = {
        "source": FactSource.KERNEL,
        "services": {} if server is None else {key or service_key(): server},
        "addresses": (
            AddressKey("eth0", VIRTUAL, 24),
            AddressKey("eth1", address("10.0.0.1"), 24),
        ),
        "routes": (
            Route(address("10.0.0.0"), 24, None, "eth1", 0),
            Route(address("192.0.2.0"), 24, None, "eth0", 0),
            Route(ANY, 0, DEFAULT_GATEWAY, "eth0", 0),
        ),
        "links": (Link("eth0", 2, True, "", 1500, ""), Link("eth1", 3, True, "", 1500, "")),
        "connections": (),
    }
    return KernelView(**{**facts, **changes})  # type: ignore[arg-type]  # each test names the fields it changes
