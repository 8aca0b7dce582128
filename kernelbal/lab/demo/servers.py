"""The real servers of a scenario: what goes wrong unprepared, `kernelbal realserver`, and the way back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from kernelbal.kernel.links import read_link_details
from kernelbal.kernel.neighbours import address_holders
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.lab.demo import claims, snapshot
from kernelbal.lab.demo.stage import Stage, kernelbal
from kernelbal.model.address import Address, format_address, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernelbal.lab.demo.events import CommandRan
    from kernelbal.lab.namespaces import Host

DEVICE = "eth0"
ONCE = ("--persist", "none")
"""The hosts of a lab share their file system."""


@contextlib.contextmanager
def prepared(stage: Stage) -> Iterator[None]:
    """Prepare the real servers until the block ends, where the scenario wants it; then compare them."""
    options = stage.scenario.realserver
    if options is None:
        yield
        return
    servers = stage.lab.real_servers
    before = {server.name: snapshot.take(server) for server in servers}
    if not options:
        _show_the_problem(stage)
    applied = [
        _run(stage, server, "apply", *_addresses(stage), *_ports(stage), *options, *ONCE)
        for server in servers
    ]
    stage.emit(claims.servers_done("apply prepares every real server", [ran.status for ran in applied]))
    verified = [_run(stage, server, "verify", *_clients(stage)) for server in servers]
    stage.emit(
        claims.servers_done("every requirement of a real server is met", [ran.status for ran in verified])
    )
    checked = kernelbal(stage, "rs", "verify", *_documents(stage), brief=False)
    stage.emit(claims.servers_done("the director finds every real server ready", [checked.status]))
    yield
    undone = [_run(stage, server, "undo") for server in servers]
    changed = {
        server.name: snapshot.differences(before[server.name], snapshot.take(server)) for server in servers
    }
    stage.emit(claims.servers_left_as_found([ran.status for ran in undone], changed))


def _show_the_problem(stage: Stage) -> None:
    """Hold the virtual address on `lo` as many a guide says, and hear who answers ARP for it."""
    servers = stage.lab.real_servers
    address = next(text for text in _addresses(stage) if ":" not in text)
    stage.doing("adding the virtual address to the unprepared real servers")
    for server in servers:
        server.run(["ip", "address", "add", f"{address}/32", "dev", "lo"])
    names = {hardware_address(host): host.name for host in stage.lab.hosts.values()}
    answers = [names.get(each, each) for each in who_has(stage.lab.client, address)]
    stage.emit(claims.unprepared_servers_answer_arp(address, [server.name for server in servers], answers))
    for server in servers:
        server.run(["ip", "address", "del", f"{address}/32", "dev", "lo"])


def _run(stage: Stage, server: Host, command: str, *arguments: str) -> CommandRan:
    first = server is stage.lab.real_servers[0]
    return kernelbal(stage, "realserver", command, *arguments, brief=not first, host=server)


def _addresses(stage: Stage) -> list[str]:
    return [format_address(Address(service.address)) for service in stage.site.virtual_services]


def _ports(stage: Stage) -> list[str]:
    ports = {str(each) for service in stage.site.virtual_services for each in service.ports}
    return [word for port in sorted(ports) for word in ("--port", port)]


def _clients(stage: Stage) -> list[str]:
    return [word for version in (4, 6) for word in ("--client", stage.lab.client.address(version))]


def _documents(stage: Stage) -> tuple[str, ...]:
    site, node = stage.documents
    return ("--site", site, "--node", node)


def who_has(host: Host, address: str) -> list[str]:
    """Return the hardware address in each answer that a host on the segment gets."""
    wanted = parse_address(address)
    with host.inside(), RtNetlink.open() as rtnetlink:
        device = next(each for each in read_link_details(rtnetlink) if each.link.name == DEVICE)
        return list(address_holders(device, [wanted]).get(wanted, ()))


def hardware_address(host: Host) -> str:
    """Return the hardware address of a host's device towards the real servers."""
    with host.inside(), RtNetlink.open() as rtnetlink:
        links = {each.link.name: each.link for each in read_link_details(rtnetlink)}
        return links[host.spec.inside or DEVICE].hardware_address
