"""One verification from its beginning to its end: what is asked, in which order, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kernelbal.errors import NotSupported, PlanRefused
from kernelbal.health.path_marks import overhead_bytes
from kernelbal.health.verification import NO_SIZES, PacketSizes, ProbePair, ServerEvidence, Unreachable
from kernelbal.health.verify_probes import is_conclusive, plan_verification
from kernelbal.health.verify_report import Neighbour, ServerReport, ServiceReport
from kernelbal.kernel.links import LinkDetail, observe_links
from kernelbal.kernel.path_mtu import MtuTarget, path_mtus
from kernelbal.kernel.routes import route_to
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.kernel.source import source_towards
from kernelbal.model.address import Address
from kernelbal.model.choices import ForwardingName, ProtocolName
from kernelbal.model.health import Health, ProbePlan, ProbeState
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.site.services import RealServer, ServerKey, VirtualService
from kernelbal.plan.kind import ObservedState
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.services import IPVS
from kernelbal.plan.networks import device_of, network_of
from kernelbal.plan.reachability import reachability_problems
from kernelbal.realserver.from_site import options_of
from kernelbal.runtime.verify.neighbourhood import Segment, neighbours_on
from kernelbal.runtime.verify.paths import ProbePaths
from kernelbal.runtime.verify.probing import probe_once
from kernelbal.runtime.verify.segments import segment_sizes

Progress = Callable[[str, object], None]
"""Takes how far it is, in words, and what it is at, which changes less often."""
_LOOPBACK: Final = "lo"


@dataclass(frozen=True, slots=True)
class Survey:
    """What is verified, and where.

    Attributes:
        site: what `verify_site` made of the site.
        node: this director.
        services: the virtual services to verify.
        observed: the kernel before anything was asked.
        details: network devices by name.
    """

    site: Site
    node: Node
    services: tuple[VirtualService, ...]
    observed: ObservedState
    details: Mapping[str, LinkDetail]

    def device(self, service: VirtualService) -> str:
        """Return the device that carries the address of a service.

        Raises:
            PlanRefused: `node.yaml` does not name it, or names one that is not there.
        """
        what = f"virtual service `{service.name}`"
        device = device_of(self.node, network_of(self.site, service), what)
        if device not in self.details:
            message = (
                f"{what}: its network is on device `{device}`, which node `{self.node.name}` does not have"
            )
            raise PlanRefused(message, "correct `interfaces` in node.yaml; `ip -br link` lists the devices")
        return device

    def pairs(self) -> Iterator[tuple[VirtualService, RealServer]]:
        """Yield every real server with its service."""
        for service in self.services:
            for server in service.real_servers:
                yield service, server


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found out.

    Attributes:
        pairs: of checks, by real server.
        segments: MSS in bytes by real server.
        paths: path MTU in bytes by address of the real server.
        devices: MTU in bytes of the device towards a real server, by its address.
        neighbours: who answers, by device and virtual address.
        unreachable: why a real server cannot work.
    """

    pairs: Mapping[ServerKey, tuple[ProbePair, ...]]
    segments: Mapping[ServerKey, int]
    paths: Mapping[Address, int]
    devices: Mapping[Address, int]
    neighbours: Mapping[tuple[str, Address], tuple[Neighbour, ...]]
    unreachable: Mapping[ServerKey, Unreachable]


def verify(survey: Survey, probe_paths: ProbePaths, progress: Progress) -> tuple[ServiceReport, ...]:
    """Return what was found out about each virtual service.

    Raises:
        KernelError: this machine does not let itself or its neighbours be asked.
        NotConverged: the probe paths through virtual addresses cannot be made.
        NotSupported: there is no IPVS, and a service needs it.
        PlanRefused: the node document names no device of this machine for a network of the site.
        StateError: the record of what was changed cannot be read or written.
    """
    plan = plan_verification(survey.site)
    for service in survey.services:
        survey.device(service)
    if plan.paths and not survey.observed.of(IPVS).available:
        message = "this kernel has no IPVS, or did not load its module: nothing leads to virtual addresses"
        raise NotSupported("verify", "", 0, message, "modprobe ip_vs")
    unreachable = _unreachable(survey)
    with probe_paths.held(survey.site, survey.node, plan):
        pairs = _probe_pairs(survey, plan, _probed(plan, progress))
        progress("asking for segment sizes", "segments")
        segments = _segments(survey, plan, pairs)
    neighbours = _neighbours(survey, progress)
    destinations = _destinations(survey, pairs)
    progress("measuring path MTUs", "mtu")
    paths = path_mtus(destinations, lambda done: progress(f"path MTUs: {done} of {len(destinations)}", "mtu"))
    devices = {each.address: each.ceiling_bytes for each in destinations}
    found = _Found(pairs, segments, paths, devices, neighbours, unreachable)
    return tuple(_service_report(survey, service, found) for service in survey.services)


# --- what real servers say ---


def _probed(plan: ProbePlan, progress: Progress) -> dict[str, ProbeState]:
    progress(f"probing: {len(plan.probes)} probes", "probing")
    return probe_once(
        plan.probes, lambda done, total: progress(f"probing: {done} of {total} done", "probing")
    )


def _probe_pairs(
    survey: Survey, plan: ProbePlan, states: Mapping[str, ProbeState]
) -> dict[ServerKey, tuple[ProbePair, ...]]:
    def pair(key: str) -> ProbePair:
        probe, beside = plan.probes[key], plan.causes.get(key)
        conclusive = is_conclusive(probe)
        if beside is None:
            return ProbePair(probe.target.port, states[key], None, conclusive)
        return ProbePair(probe.target.port, states[beside], states[key], conclusive)

    keys = [service.server_key(server) for service, server in survey.pairs()]
    return {key: tuple(pair(check) for check in plan.checks.get(key, ())) for key in keys}


def _segments(
    survey: Survey, plan: ProbePlan, pairs: Mapping[ServerKey, tuple[ProbePair, ...]]
) -> dict[ServerKey, int]:
    targets = {}
    for service, server in survey.pairs():
        key = service.server_key(server)
        if service.protocol is not ProtocolName.TCP:
            continue
        for check, pair in zip(plan.checks.get(key, ()), pairs[key], strict=True):
            if pair.virtual is not None and pair.virtual.health is Health.UP:
                targets[key] = plan.probes[check].target
                break
    by_text = {str(number): key for number, key in enumerate(targets)}
    sizes = segment_sizes({text: targets[key] for text, key in by_text.items()})
    return {by_text[text]: size for text, size in sizes.items()}


# --- what the network says ---


def _unreachable(survey: Survey) -> dict[ServerKey, Unreachable]:
    """Return why real servers cannot work, by the addresses and routes of this director."""
    broken = {fault.service for fault in reachability_problems(survey.site, survey.node, survey.observed)}
    found = {}
    for service, server in survey.pairs():
        if service.name in broken:
            alone = service.model_copy(update={"real_servers": (server,)})
            site = survey.site.model_copy(update={"virtual_services": (alone,)})
            for fault in reachability_problems(site, survey.node, survey.observed):
                found[service.server_key(server)] = Unreachable(fault.message, fault.hint)
    return found


def _neighbours(survey: Survey, progress: Progress) -> dict[tuple[str, Address], tuple[Neighbour, ...]]:
    own = {each.link.hardware_address for each in survey.details.values()}
    asked: dict[str, dict[Address, set[Address]]] = {}
    for service in survey.services:
        servers = {Address(server.address) for server in service.real_servers}
        asked.setdefault(survey.device(service), {}).setdefault(Address(service.address), set()).update(
            servers
        )
    found = {}
    for device, virtual in asked.items():
        progress(f"asking the segment on {device} who answers for virtual addresses", device)
        for address, others in neighbours_on(Segment(survey.details[device], virtual), own).items():
            found[device, address] = others
    return found


def _destinations(survey: Survey, pairs: Mapping[ServerKey, tuple[ProbePair, ...]]) -> list[MtuTarget]:
    """Return the real servers whose path is measured: those that get packets for the virtual address."""
    found: dict[Address, MtuTarget] = {}
    with RtNetlink.open() as rtnetlink:
        links = observe_links(rtnetlink)
        sizes = {link.name: link.mtu_bytes for link in links}
        for service, server in survey.pairs():
            address = Address(server.address)
            dead = any(each.own.health is Health.DOWN for each in pairs[service.server_key(server)])
            if service.forwarding is ForwardingName.NAT or address in found or dead:
                continue
            route = route_to(rtnetlink, address, links)
            if route is not None and route.device not in ("", _LOOPBACK):
                found[address] = MtuTarget(address, sizes[route.device], _source(address, service))
    return list(found.values())


def _source(address: Address, service: VirtualService) -> Address | None:
    virtual = Address(service.address)
    return source_towards(address, virtual) if len(address) == len(virtual) else None


# --- what is made of it ---


def _service_report(survey: Survey, service: VirtualService, found: _Found) -> ServiceReport:
    device, virtual = survey.device(service), Address(service.address)
    detail = survey.details[device]
    neighbours = found.neighbours.get((device, virtual), ())
    held = any(each.key.address == virtual for each in survey.observed.of(ADDRESSES))
    answering = {each.server: each.answerer for each in neighbours if each.server is not None}
    servers = []
    for server in service.real_servers:
        key, address = service.server_key(server), Address(server.address)
        evidence = ServerEvidence(
            service.forwarding,
            virtual,
            options_of(service, address),
            found.pairs[key],
            found.unreachable.get(key),
            answering.get(address),
            _sizes(service, key, detail.link.mtu_bytes, found),
        )
        servers.append(ServerReport(server, evidence))
    return ServiceReport(service, device, held, detail.announces, neighbours, tuple(servers))


def _sizes(service: VirtualService, key: ServerKey, largest: int, found: _Found) -> PacketSizes:
    address = key.address
    if address not in found.devices or service.forwarding is ForwardingName.NAT:
        return NO_SIZES
    overhead = overhead_bytes(service, address)
    return PacketSizes(
        largest, found.devices[address], found.paths.get(address), overhead, found.segments.get(key)
    )
