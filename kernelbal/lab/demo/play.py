"""Plays scenarios inside a lab: the real commands on the director, real requests from the client."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.config.load import load_site
from kernelbal.errors import KernelbalError
from kernelbal.lab.demo import claims, snapshot
from kernelbal.lab.demo.counters import read_counters
from kernelbal.lab.demo.events import (
    AnswerRow,
    Doing,
    Failure,
    Finished,
    KernelFound,
    PacketRow,
    ScenarioBegun,
    ScenarioEnded,
    ServiceTried,
)
from kernelbal.lab.demo.scenarios import EXAMPLES, checkout
from kernelbal.lab.demo.servers import hardware_address, prepared, who_has
from kernelbal.lab.demo.stage import Stage, kernelbal, run
from kernelbal.lab.demo.visits import visit
from kernelbal.lab.demo.watched import play_watched
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.topology import Role
from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernelbal.lab.demo.scenarios import Scenario
    from kernelbal.lab.demo.stage import Emit
    from kernelbal.lab.namespaces import Host
    from kernelbal.model.site.services import VirtualService

WEIGHTED: Final = frozenset({Scheduler.WRR})
"""Schedulers of the examples that go by weight."""


def play_all(scenarios: Iterable[Scenario], requests: int, emit: Emit) -> None:
    """Play scenarios one after the other; one that breaks off is a claim that failed."""
    began_at = time.monotonic()
    emit(_kernel())
    for scenario in scenarios:
        scenario_began_at = time.monotonic()
        emit(
            ScenarioBegun(
                name=scenario.name,
                title=scenario.title,
                topology=scenario.topology,
                site=f"{EXAMPLES}/{scenario.site}",
            )
        )
        try:
            play(scenario, requests, emit)
        except KernelbalError as error:
            emit(claims.played(f"{error.message} ({error.hint})" if error.hint else error.message))
        except OSError as error:
            emit(claims.played(str(error)))
        emit(ScenarioEnded(name=scenario.name, elapsed_s=time.monotonic() - scenario_began_at))
    emit(Finished(elapsed_s=time.monotonic() - began_at))


def _kernel() -> KernelFound:
    table = Path("/proc/net/ip_vs")
    first = table.read_text("ascii").splitlines()[0] if table.exists() else "not loaded yet"
    return KernelFound(release=os.uname().release, ipvs=first)


def play(scenario: Scenario, requests: int, emit: Emit) -> None:
    """Play one scenario from an empty topology to an empty director.

    Raises:
        KernelbalError: the lab or the example is not usable.
        OSError: the kernel refused a step of the lab.
    """
    site_file = checkout() / EXAMPLES / scenario.site
    site = load_site(site_file.read_bytes(), str(site_file))
    with contextlib.ExitStack() as stack:
        emit(Doing(text=f"building the topology {scenario.topology}"))
        factory = LabFactory(stack)
        lab = factory(scenario.topology)
        state_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kernelbal-demo-")))
        stage = Stage(scenario, lab, site, state_dir, requests, emit)
        _prepare(stage)
        before = snapshot.take(lab.director)
        if scenario.watched:
            play_watched(stage)
        else:
            factory.serve(lab.real_servers, udp_ports=())
            _play_once(stage)
        _release(stage, before)


def _play_once(stage: Stage) -> None:
    _apply(stage)
    with prepared(stage):
        for service in stage.site.virtual_services:
            _try_service(stage, service)
        _look_around(stage)


def _prepare(stage: Stage) -> None:
    addresses = tuple(_text(service.address) for service in stage.site.virtual_services)
    stage.doing("preparing the real servers")
    for server in stage.lab.real_servers:
        stage.scenario.prepare(server, addresses)


def _text(address: bytes) -> str:
    return format_address(Address(address))


# --- the director's commands ---


def _apply(stage: Stage) -> None:
    site, node = stage.documents
    planned = kernelbal(stage, "plan", site, "--node", node, brief=False)
    first = kernelbal(stage, "apply", site, "--node", node, brief=True)
    stage.emit(claims.applied(planned.status or first.status))
    second = kernelbal(stage, "apply", site, "--node", node, brief=True)
    stage.emit(claims.nothing_left_to_do(second.status, second.lines))
    if shutil.which("ipvsadm"):
        run(stage, ["ipvsadm", "-Ln"], "ipvsadm -Ln", brief=False)


def _release(stage: Stage, before: snapshot.Snapshot) -> None:
    done = kernelbal(stage, "release", "--cut", brief=True)
    stage.doing("comparing the director with what it was")
    changed = snapshot.differences(before, snapshot.take(stage.lab.director))
    stage.emit(claims.left_as_found(done.status, changed, snapshot.counts(before)))


# --- the client's requests ---


def _try_service(stage: Stage, service: VirtualService) -> None:
    lab = stage.lab
    address = _text(service.address)
    shown = f"[{address}]" if ":" in address else address
    stage.doing(f"{stage.requests} requests to http://{shown}/")
    counters = partial(read_counters, lab.client, lab.director, lab.real_servers)
    before = counters()
    visits = visit(lab.client, address, stage.requests)
    evidence = claims.Evidence(service.name, _weights(stage, service), visits, counters().since(before))
    stage.emit(_tried(service, f"http://{shown}/", evidence))
    version = 6 if ":" in address else 4
    expected = _seen_host(stage).address(version)
    whose = "the client's own" if stage.scenario.seen_client is Role.CLIENT else "the director's"
    stage.emit(claims.all_answered(evidence))
    stage.emit(claims.shared_by_weight(evidence))
    stage.emit(claims.client_seen(evidence, expected, whose))
    stage.emit(claims.replies_took(evidence, stage.scenario.replies))


def _seen_host(stage: Stage) -> Host:
    return stage.lab.client if stage.scenario.seen_client is Role.CLIENT else stage.lab.director


def _weights(stage: Stage, service: VirtualService) -> dict[str, int]:
    """Return weights by the names of the lab; equal ones where the scheduler knows none."""
    names = {
        str(interface.ip): host.name
        for host in stage.lab.real_servers
        for link in host.spec.links
        for interface in link.addresses
    }
    return {
        names[_text(server.address)]: server.weight if service.scheduler in WEIGHTED else 1
        for server in service.real_servers
    }


def _tried(service: VirtualService, url: str, evidence: claims.Evidence) -> ServiceTried:
    visits, packets = evidence.visits, evidence.packets
    return ServiceTried(
        service=service.name,
        url=url,
        scheduler=service.scheduler.value,
        wanted=visits.wanted,
        asked=visits.asked,
        answers=tuple(
            AnswerRow(
                real_server=server,
                weight=weight,
                expected=evidence.expected(server),
                answers=visits.answers_of(server),
                clients=visits.clients_of(server),
            )
            for server, weight in evidence.weights.items()
        ),
        failures=tuple(
            Failure(reason=reason, count=count) for reason, count in sorted(visits.failures.items())
        ),
        packets=(
            PacketRow(host="client", sent=packets.client.sent, received=packets.client.received),
            PacketRow(host="director", sent=packets.director.sent, received=packets.director.received),
            PacketRow(
                host="real servers", sent=packets.real_servers.sent, received=packets.real_servers.received
            ),
        ),
        ipvs_in=packets.ipvs.received,
        ipvs_out=packets.ipvs.sent,
    )


# --- what the hosts around the director know ---


def _look_around(stage: Stage) -> None:
    lab = stage.lab
    if stage.scenario.silent:
        stage.doing("asking the segment who has the virtual address")
        hardware = hardware_address(lab.director)
        for service in stage.site.virtual_services:
            address = _text(service.address)
            if ":" not in address:  # neighbour discovery answers only for addresses of the device
                answers = who_has(lab.client, address)
                stage.emit(claims.only_director_answers_arp(address, hardware, answers))
    if stage.scenario.routeless:
        target = lab.client.address(4)
        gateways = {server.name: _gateway(server, target) for server in lab.real_servers}
        stage.emit(claims.no_gateway_needed(gateways))


def _gateway(host: Host, target: str) -> str | None:
    from pyroute2 import IPRoute  # slow to import

    with host.inside(), IPRoute() as ip:
        (route,) = ip.route("get", dst=target)
        gateway: str | None = route.get_attr("RTA_GATEWAY")
        return gateway
