"""The status of a director whose daemon was not asked: what the kernel shows, named by the site file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from kernelbal.health.decision import Decision, Memory, ServerView, ServiceView
from kernelbal.kernel.modules import table_too_small
from kernelbal.model.address import AF_INET
from kernelbal.model.health import Health, ProbePlan
from kernelbal.model.ipvs import DestinationAttributes, DrainKey, Forwarding, ServiceKey
from kernelbal.model.overlay import Mode, Overlay, ServerState
from kernelbal.model.site import Site
from kernelbal.model.site.services import RealServer, ServerKey, VirtualService
from kernelbal.model.status import (
    DirectorStatus,
    KernelAddressStatus,
    KernelServerStatus,
    KernelServiceStatus,
    KernelStatus,
    KernelSyncDaemonStatus,
    Owner,
    ServiceStatus,
    TableStatus,
)
from kernelbal.plan.desire import service_names
from kernelbal.plan.kind import ObservedState, Ownership
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.service_actions import service_text
from kernelbal.plan.kinds.services import COUNTERS, IPVS, SERVICES
from kernelbal.plan.kinds.sync_daemons import SYNC_DAEMONS
from kernelbal.runtime.director.status_view import (
    NO_COUNTERS,
    Counted,
    StatusInputs,
    connections_in,
    places_of,
    service_view,
)

NOT_PROBED: Final = "not probed: no daemon"
"""Why the health of a real server is unknown."""


@dataclass(frozen=True, slots=True)
class KernelInputs:
    """What the status is made from.

    Attributes:
        version: of the program.
        observed: the kernel, with counters.
        now: when it was read, in seconds on the boot clock.
        site: None without a site file.
        node: name of the node; empty without a node file.
        pending_changes: how many actions a plan has; None without a site file.
        hidden_clients: that something hides the clients' addresses, or empty.
        memory_bytes: of this machine.
    """

    version: str
    observed: ObservedState
    ownership: Ownership
    now: float
    site: Site | None
    node: str
    pending_changes: int | None
    hidden_clients: str
    memory_bytes: int


def kernel_view(seen: KernelInputs) -> DirectorStatus:
    """Return the status as the kernel has it."""
    observed = seen.observed
    counted = Counted(seen.now, observed.of(COUNTERS))
    connections = connections_in(counted)
    site = seen.site
    names = {} if site is None else service_names(site)
    warning = table_too_small(observed.of(IPVS).connection_buckets, connections, seen.memory_bytes) or ""
    return DirectorStatus(
        node=seen.node,
        version=seen.version,
        pid=None,
        started=None,
        uptime_s=None,
        config=None,
        reconcile=None,
        checker=None,
        table=TableStatus(
            buckets=observed.of(IPVS).connection_buckets,
            connections=connections,
            warning=warning,
            hidden_clients=seen.hidden_clients,
        ),
        counters_s=0.0,
        kernel=_kernel(seen, names),
        virtual_services=[]
        if seen.site is None
        else list(_virtual_services(seen, seen.site, names, counted)),
    )


def _kernel(seen: KernelInputs, names: dict[ServiceKey, str]) -> KernelStatus:
    observed = seen.observed
    services = observed.of(SERVICES)
    return KernelStatus(
        ipvs_available=observed.of(IPVS).available,
        services=[_kernel_service(seen, key, names.get(key)) for key in sorted(services)],
        addresses=[
            KernelAddressStatus(
                address=str(each.key),
                owner=_owner(each.ours or each.key in seen.ownership.of(ADDRESSES)),
            )
            for each in observed.of(ADDRESSES)
            if each.key.device != "lo"
        ],
        sync_daemons=[
            KernelSyncDaemonStatus(
                role=role.value,
                attributes=str(daemon),
                owner=_owner(role in seen.ownership.of(SYNC_DAEMONS)),
            )
            for role, daemon in sorted(observed.of(SYNC_DAEMONS).items())
        ],
        pending_changes=seen.pending_changes,
        draining=len(seen.ownership.of(SERVICES).drains),
    )


def _owner(ours: bool) -> Owner:
    return Owner.KERNELBAL if ours else Owner.FOREIGN


def _kernel_service(seen: KernelInputs, key: ServiceKey, name: str | None) -> KernelServiceStatus:
    server = seen.observed.of(SERVICES)[key]
    return KernelServiceStatus(
        service=str(key),
        name=name,
        owner=_owner(key in seen.ownership.of(SERVICES).keys),
        scheduler=service_text(server.attributes, 32 if key.family == AF_INET else 128),
        real_servers=[
            _kernel_server(seen, DrainKey(key, each), server.destinations[each])
            for each in sorted(server.destinations)
        ],
    )


def _kernel_server(
    seen: KernelInputs, key: DrainKey, attributes: DestinationAttributes
) -> KernelServerStatus:
    # One that was added after the counters were read, or removed before, has none.
    counters = seen.observed.of(COUNTERS).get(key.service, {}).get(key.destination, NO_COUNTERS)
    drain = seen.ownership.of(SERVICES).drains.get(key)
    return KernelServerStatus(
        address=str(key.destination),
        forwarding=Forwarding(attributes.forwarding).name.lower(),
        weight=attributes.weight,
        active=counters.active,
        inactive=counters.inactive,
        connections=counters.connections,
        drain_left_s=None if drain is None else round(max(0.0, drain.deadline_at - seen.now), 1),
    )


def _virtual_services(
    seen: KernelInputs, site: Site, names: dict[ServiceKey, str], counted: Counted
) -> Iterator[ServiceStatus]:
    """Yield the virtual services: what a daemon decides is read from the weights in the kernel."""
    keys: dict[str, tuple[ServiceKey, ...]] = {}
    for key, name in names.items():
        keys[name] = (*keys.get(name, ()), key)
    table = seen.observed.of(SERVICES)
    known = StatusInputs(seen.now, 0.0, site, ProbePlan(), {}, None, keys, table, counted, None)
    for service in site.virtual_services:
        view = service_view(replace(known, decision=_as_observed(known, service)), service)
        servers = [structs.replace(each, since=None, since_s=None) for each in view.real_servers]
        yield structs.replace(view, since=None, since_s=None, real_servers=servers)


def _as_observed(known: StatusInputs, service: VirtualService) -> Decision:
    """Return the decision about one virtual service that its weights in the kernel show."""
    servers = {
        service.server_key(server): _server_view(known, service.server_key(server), server)
        for server in service.real_servers
    }
    usable = sum(view.state is ServerState.SERVING for view in servers.values())
    mode = Mode.SERVING if usable else Mode.SORRY if _stands_in(known, service) else Mode.REFUSING
    view = ServiceView(mode, known.now, usable)
    return Decision(Overlay(), Memory(), servers, {service.name: view})


def _server_view(known: StatusInputs, key: ServerKey, server: RealServer) -> ServerView:
    places = places_of(known, key)
    table = known.table or {}
    found = (table[each].destinations.get(name) for each, name in places if each in table)
    weights = [attributes.weight for attributes in found if attributes is not None]
    weight = max(weights, default=0)
    state, reason = ServerState.SERVING, NOT_PROBED
    if not weights:
        state, reason = ServerState.UNKNOWN, "not in the kernel"
    elif len(weights) < len(places):
        reason = f"in {len(weights)} of {len(places)} IPVS services; {NOT_PROBED}"
    elif not weight:
        state, reason = ServerState.QUIESCED, f"weight 0 in the kernel; {NOT_PROBED}"
    return ServerView(state, Health.UNKNOWN, known.now, reason, weight, "", None, None)


def _stands_in(known: StatusInputs, service: VirtualService) -> bool:
    """Return whether there is a destination with a weight: beside no usable real server, the sorry server."""
    table = known.table or {}
    found = (table[key] for key in known.keys[service.name] if key in table)
    return any(each.weight for server in found for each in server.destinations.values())
