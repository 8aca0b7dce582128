"""Real servers on which nothing is wrong, to be spoilt one thing at a time."""

from collections.abc import Collection
from dataclasses import replace

from kernelbal.model.address import parse_address
from kernelbal.model.bound_socket import BoundSocket
from kernelbal.model.network import Link, ObservedAddress, Route
from kernelbal.model.verification import RequirementResult, ResultStatus
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.setup import HostState
from kernelbal.realserver.verify.evidence import Answer, HostEvidence, Path, Reaction, Wire
from kernelbal.realserver.verify.requirements import verify_addresses
from tests.support.realserver_host import HTTP, IPIP, REAL, REAL6, VIP, VIP6, host, prepared

CLIENT, CLIENT6 = parse_address("198.51.100.7"), parse_address("2001:db8::7")
ROUTER, ROUTER6 = parse_address("10.0.0.254"), parse_address("fd00::254")
DIRECTOR = parse_address("10.0.0.1")
ANY6 = parse_address("::")
DIRECT, DIRECT6 = prepared(VIP, Method.LOOPBACK, None, HTTP), prepared(VIP6, Method.LOOPBACK, None, HTTP)
TUNNELLED = prepared(VIP, Method.LOOPBACK, IPIP, HTTP)
REDIRECTED = prepared(VIP, Method.REDIRECT, None, HTTP)


def prepared_host(one: Preparation, **settings: object) -> HostState:
    """A host like `samples.host()` with everything that a preparation takes."""
    plain = host()
    setup = setup_for((one,), plain)
    devices = tuple(Link(each.name, 20, True, each.kind, 1480, "") for each in setup.links)
    addresses = tuple(
        ObservedAddress(key, attributes, ours=False) for key, attributes in setup.addresses.items()
    )
    sysctls = dict(plain.sysctls) | {each.path: each.value for each in setup.sysctls}
    sysctls |= {f"net/ipv6/conf/{name}/disable_ipv6": "0" for name in ("all", "lo", "eth0", "eth1")}
    made = replace(
        plain,
        links=(*_ethernet(plain.links), *devices),
        addresses=(*plain.addresses, *addresses),
        sysctls=sysctls,
        tables=setup.tables,
        listeners=frozenset(setup.listeners),
    )
    return replace(made, **settings)  # type: ignore[arg-type] # fields of what is made


def _ethernet(links: Collection[Link]) -> tuple[Link, ...]:
    return tuple(
        each._replace(hardware_address="52:54:00:00:00:01" if each.name != "lo" else "") for each in links
    )


def path(one: Preparation, **settings: object) -> Path:
    """The way by the default route."""
    ipv4 = len(one.virtual) == 4
    client, router = (CLIENT, ROUTER) if ipv4 else (CLIENT6, ROUTER6)
    route = Route(client, len(client) * 8, router, "eth0", 0)
    return Path(client, route, route)._replace(**settings)  # type: ignore[arg-type] # fields of what is made


def wire(one: Preparation, *answers: Answer, **settings: object) -> Wire:
    """A wire on which everything was heard as it should be."""
    made = Wire(
        "eth0",
        control=REAL if len(one.virtual) == 4 else REAL6,
        control_answered=True,
        answers=answers or tuple(Answer(port, Reaction.ACCEPTED, 1340) for port in one.ports),
    )
    return replace(made, **settings)  # type: ignore[arg-type] # fields of what is made


def good(one: Preparation, **settings: object) -> HostEvidence:
    """HostEvidence of which nothing is wrong."""
    made = HostEvidence(
        host=prepared_host(one),
        sockets=tuple(BoundSocket(port.protocol, ANY6, port.to_port, only_ipv6=False) for port in one.ports),
        paths={one.virtual: path(one)},
        wires={one.virtual: (wire(one),)},
        director=DIRECTOR,
    )
    return replace(made, **settings)  # type: ignore[arg-type] # fields of what is made


def verified(one: Preparation, evidence: HostEvidence) -> tuple[RequirementResult, ...]:
    """All results."""
    ((_, results),) = verify_addresses((one,), evidence)
    return results


def judged(one: Preparation, evidence: HostEvidence) -> dict[str, list[RequirementResult]]:
    """All results by requirement."""
    found: dict[str, list[RequirementResult]] = {}
    for result in verified(one, evidence):
        found.setdefault(result.requirement, []).append(result)
    return found


def fails(one: Preparation, evidence: HostEvidence) -> dict[str, RequirementResult]:
    """The result by requirement of those that fail of themselves."""
    return {
        result.requirement: result
        for result in verified(one, evidence)
        if result.status is ResultStatus.FAIL and not result.consequence_of
    }


def with_sysctl(one: Preparation, **values: str) -> HostState:
    """A prepared host with other values of sysctls, named `DEVICE__NAME`."""
    made = prepared_host(one)
    changed = {f"net/ipv4/conf/{name.replace('__', '/')}": value for name, value in values.items()}
    return replace(made, sysctls={**made.sysctls, **changed})
