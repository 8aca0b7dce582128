"""Which IPVS service a packet belongs to (`ip_vs_service_find` in `ip_vs_ctl.c`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kernelbal.model.address import Address, format_endpoint
from kernelbal.model.ipvs import Protocol, ServiceKey, ServiceTable
from kernelbal.plan.explain.query import ExplainQuery, KernelView
from kernelbal.plan.explain.result import StepTopic, StepVerdict, TraceStep

FTP_DATA_PORT = 20
"""Source of active FTP data connections."""
FTP_PORT = 21
"""A service on it also gets data connections to unprivileged ports (`FTPPORT`)."""
FIRST_UNPRIVILEGED_PORT = 1024
"""`PROT_SOCK`."""
SHOWN_NEIGHBOURS = 5
"""Other services of the same address that a reason names."""


class ServiceMatch(NamedTuple):
    """A service and the rule by which it was found."""

    key: ServiceKey
    rule: str


def find_service(services: ServiceTable, query: ExplainQuery, mark: int) -> ServiceMatch | None:
    """Return the service that the kernel finds for a packet: by mark first, by address and any port last."""
    return next((match for match in _tries(query, mark) if match.key in services), None)


def _tries(query: ExplainQuery, mark: int) -> Iterator[ServiceMatch]:
    family, port = query.family, query.port
    if mark:
        yield ServiceMatch(ServiceKey(family, 0, Address(b""), 0, mark), f"by firewall mark {mark:#x}")
    exact = ServiceKey(family, query.protocol.value, query.virtual, port)
    yield ServiceMatch(exact, "by address and port")
    ftp_data = port == FTP_DATA_PORT or port >= FIRST_UNPRIVILEGED_PORT
    if query.protocol is Protocol.TCP and ftp_data:
        yield ServiceMatch(exact._replace(port=FTP_PORT), "as a data connection of FTP")
    yield ServiceMatch(exact._replace(port=0), "by address, any port")


def service_step(
    query: ExplainQuery, view: KernelView, mark: int, *, local: bool
) -> tuple[ServiceMatch | None, TraceStep]:
    """Return the service of the packet with its reason, or what the client sees without one."""
    match = find_service(view.services, query, mark) if view.ipvs_available else None
    if match is not None:
        reason = f"service {view.title(match.key)} matches {match.rule}"
        return match, TraceStep(StepTopic.SERVICE, StepVerdict.MATCHED, reason, view.source)
    endpoint = f"{format_endpoint(query.virtual, query.port)}/{query.protocol.name.lower()}"
    if view.ipvs_available:
        reason = f"no service for {endpoint}{_mark_text(mark)}{_neighbours(query, view)}"
    else:
        reason = "this kernel has no IPVS loaded (`modprobe ip_vs`)"
    if local:
        reason += f"; {own_stack(query)}"
    return None, TraceStep(StepTopic.SERVICE, StepVerdict.NO_SERVICE, reason, view.source)


def own_stack(query: ExplainQuery) -> str:
    """Return what a client sees when its packet reaches the director's own sockets."""
    answer = {
        Protocol.TCP: "a reset (connection refused)",
        Protocol.UDP: "an ICMP port unreachable",
        Protocol.SCTP: "an ABORT",
    }[query.protocol]
    return f"the director's own stack answers: {answer}, unless a program listens on that port"


def _mark_text(mark: int) -> str:
    return f", nor for mark {mark:#x}" if mark else ""


def _neighbours(query: ExplainQuery, view: KernelView) -> str:
    there = [str(key) for key in view.services if key.address == query.virtual]
    if not there:
        return ""
    more = f" and {len(there) - SHOWN_NEIGHBOURS} more" if len(there) > SHOWN_NEIGHBOURS else ""
    return f" (on this address: {', '.join(there[:SHOWN_NEIGHBOURS])}{more})"
