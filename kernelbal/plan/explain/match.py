"""Which IPVS service a packet belongs to (`ip_vs_service_find` in `ip_vs_ctl.c`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kernelbal.model.address import Address, format_endpoint
from kernelbal.model.ipvs import Protocol, ServiceKey, ServiceTable
from kernelbal.plan.explain.question import Question, View
from kernelbal.plan.explain.result import Step, Topic, Verdict

FTP_DATA_PORT = 20
"""Source of active FTP data connections."""
FTP_PORT = 21
"""A service on it also gets data connections to unprivileged ports (`FTPPORT`)."""
FIRST_UNPRIVILEGED_PORT = 1024
"""`PROT_SOCK`."""
SHOWN_NEIGHBOURS = 5
"""Other services of the same address that a reason names."""


class Match(NamedTuple):
    """A service and the rule by which it was found."""

    key: ServiceKey
    rule: str


def find_service(services: ServiceTable, question: Question, mark: int) -> Match | None:
    """Return the service that the kernel finds for a packet: by mark first, by address and any port last."""
    return next((match for match in _tries(question, mark) if match.key in services), None)


def _tries(question: Question, mark: int) -> Iterator[Match]:
    family, port = question.family, question.port
    if mark:
        yield Match(ServiceKey(family, 0, Address(b""), 0, mark), f"by firewall mark {mark:#x}")
    exact = ServiceKey(family, question.protocol.value, question.virtual, port)
    yield Match(exact, "by address and port")
    ftp_data = port == FTP_DATA_PORT or port >= FIRST_UNPRIVILEGED_PORT
    if question.protocol is Protocol.TCP and ftp_data:
        yield Match(exact._replace(port=FTP_PORT), "as a data connection of FTP")
    yield Match(exact._replace(port=0), "by address, whatever the port")


def service_step(question: Question, view: View, mark: int, *, local: bool) -> tuple[Match | None, Step]:
    """Return the service of the packet with its reason, or what the client sees without one."""
    match = find_service(view.services, question, mark) if view.ipvs_available else None
    if match is not None:
        reason = f"service {view.title(match.key)} matches {match.rule}"
        return match, Step(Topic.SERVICE, Verdict.MATCHED, reason, view.source)
    wanted = f"{format_endpoint(question.virtual, question.port)}/{question.protocol.name.lower()}"
    if view.ipvs_available:
        reason = f"no service for {wanted}{_mark_text(mark)}{_neighbours(question, view)}"
    else:
        reason = "this kernel has no IPVS loaded (`modprobe ip_vs`)"
    if local:
        reason += f"; {own_stack(question)}"
    return None, Step(Topic.SERVICE, Verdict.NO_SERVICE, reason, view.source)


def own_stack(question: Question) -> str:
    """Return what a client sees when its packet reaches the director's own sockets."""
    answer = {
        Protocol.TCP: "a reset (connection refused)",
        Protocol.UDP: "an ICMP port unreachable",
        Protocol.SCTP: "an ABORT",
    }[question.protocol]
    return f"the director's own stack answers: {answer}, unless a program listens on that port"


def _mark_text(mark: int) -> str:
    return f", nor for mark {mark:#x}" if mark else ""


def _neighbours(question: Question, view: View) -> str:
    there = [str(key) for key in view.services if key.address == question.virtual]
    if not there:
        return ""
    more = f" and {len(there) - SHOWN_NEIGHBOURS} more" if len(there) > SHOWN_NEIGHBOURS else ""
    return f" (on this address: {', '.join(there[:SHOWN_NEIGHBOURS])}{more})"
