"""Whether the service listens where packets arrive, and whether they fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from kernelbal.model.address import format_address, format_endpoint
from kernelbal.model.bound_socket import BoundSocket
from kernelbal.model.ipvs import Protocol
from kernelbal.model.verification import RequirementResult, fail, ok, unknown
from kernelbal.realserver.preparation import PortMap
from kernelbal.realserver.rules import most_segment_bytes
from kernelbal.realserver.setup import INET_TABLE
from kernelbal.realserver.verify.evidence import Reaction
from kernelbal.realserver.verify.prepared_address import APPLY, PreparedAddress

SMALLEST_IPV6_MTU_BYTES: Final = 1280
"""RFC 8200, section 5."""
NO_PORT: Final = "no port is known: name it with --port"


def judge_listening(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The service has a socket for the address and port at which packets arrive."""
    if not subject.one.ports:
        yield unknown(NO_PORT)
    for port in subject.one.ports:
        yield _judge_port(subject, port)


def _judge_port(subject: PreparedAddress, port: PortMap) -> RequirementResult:
    sockets = subject.evidence.sockets
    taking = [each for each in sockets if each.takes(port.protocol, subject.target, port.to_port)]
    if taking:
        return ok(", ".join(map(_shown, taking)))
    protocol = Protocol(port.protocol).name.lower()
    wanted = format_endpoint(subject.target, port.to_port)
    others = [each for each in sockets if (each.protocol, each.port) == (port.protocol, port.to_port)]
    if not others:
        return fail(f"nobody listens on port {port.to_port}/{protocol}", f"start the service on {wanted}")
    where = ", ".join(map(_shown, others))
    alone = " for IPv6 alone" if all(each.only_ipv6 and each.wildcard for each in others) else " only"
    every = format_endpoint(type(subject.target)(bytes(len(subject.target))), port.to_port)
    return fail(f"listens on {where}{alone}", f"let it listen on {every} or {wanted}")


def _shown(each: BoundSocket) -> str:
    by = f" by {each.program}" if each.program else ""
    return f"{format_endpoint(each.address, each.port)}{by}"


def judge_mtu(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The interface takes packets as long as the path from the director carries them."""
    wanted = subject.one.mtu_bytes
    for name in subject.one.interfaces:
        link = subject.link(name)
        if link is None:
            yield unknown("there is no such device", name, "device")
        elif len(subject.one.real) == 16 and link.mtu_bytes < SMALLEST_IPV6_MTU_BYTES:
            fix = f"ip link set {name} mtu {max(wanted, SMALLEST_IPV6_MTU_BYTES)}"
            yield fail(f"{link.mtu_bytes}: IPv6 takes {SMALLEST_IPV6_MTU_BYTES} at least", fix, name)
        elif link.mtu_bytes < wanted:
            text = f"{link.mtu_bytes}, but packets of {wanted} come from the director"
            yield fail(text, f"ip link set {name} mtu {wanted}", name)
        else:
            yield ok(f"{link.mtu_bytes}", name)


def judge_mss(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The service asks for segments that still fit when the director has wrapped them."""
    if subject.one.ports and not any(port.protocol == Protocol.TCP for port in subject.one.ports):
        return
    most = most_segment_bytes(subject.one)
    heard = [answer.mss_bytes for _, answer in subject.answers() if answer.reaction is Reaction.ACCEPTED]
    missing = subject.missing(INET_TABLE, "postrouting")
    if heard and max(heard) > most:
        why = f"; `{INET_TABLE.title}` lacks {'; '.join(missing)}" if missing else ""
        yield fail(f"asks for {max(heard)}, of which the tunnel carries {most}{why}", APPLY)
    elif heard:
        yield ok(f"asks for {max(heard)}, at most {most} fit")
    elif subject.evidence.no_nftables:
        yield unknown(f"cannot be read: {subject.evidence.no_nftables}")
    elif missing:
        yield fail(f"`{INET_TABLE.title}` lacks {'; '.join(missing)}", APPLY)
    else:
        yield ok(f"{most} for {format_address(subject.one.virtual)}, by `{INET_TABLE.title}`")
