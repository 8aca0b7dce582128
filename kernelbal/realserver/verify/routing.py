"""Whether packets get in and replies get out: unwrapping, redirection, reverse-path filter, routes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kernelbal.model.address import Address, format_address
from kernelbal.model.verification import RequirementResult, fail, first_of, ok, unknown
from kernelbal.realserver.setup import INET_TABLE, LOOPBACK
from kernelbal.realserver.sysctls import conf
from kernelbal.realserver.verify.prepared_address import APPLY, PreparedAddress

_OFF, _STRICT = 0, 1


def judge_listener(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The UDP port of a GUE tunnel unwraps packets."""
    for each in subject.setup.listeners:
        if each in subject.evidence.host.listeners:
            yield ok(f"{each} is open")
        else:
            yield fail(f"{each} is not open", APPLY)


def judge_redirection(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """Packets for the virtual address become packets for the host's own address."""
    if subject.evidence.no_nftables:
        yield unknown(f"cannot be read: {subject.evidence.no_nftables}")
        return
    missing = subject.missing(INET_TABLE, "prerouting")
    if missing:
        yield fail(f"`{INET_TABLE.title}` lacks {'; '.join(missing)}", APPLY)
    else:
        yield ok(f"`{INET_TABLE.title}` leads to {format_address(subject.target)}")


def judge_reverse_path(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The kernel does not take a client's packet for a forged one where it comes in (RFC 3704)."""
    names = (subject.wrapped.device,) if subject.wrapped else subject.one.interfaces
    for name in names:
        value = subject.effective("rp_filter", name)
        if value is None:
            yield unknown("there is no such device", name, "device")
        else:
            yield _judge_filter(subject, name, value, failed)


def _judge_filter(
    subject: PreparedAddress, name: str, value: int, failed: Collection[str]
) -> RequirementResult:
    path = subject.path
    client = format_address(path.client)
    loosen = f"sysctl -w {conf(name, 'rp_filter')}=2"
    back = path.backwards.device if path.backwards else ""
    if value == _OFF:
        return ok("0", name)
    if subject.wrapped is not None and not _has_ipv4(subject, name):
        text = f"{value}, and the device has no IPv4 address: the kernel drops all that it unwraps"
        return fail(text, APPLY, name, first_of(("vip",), failed))
    if not back:
        text = f"{value}, and there is no route to {client}: the kernel drops what it sends"
        return fail(text, f"ip route add {client} dev {name}", name, "" if path.reply else "return route")
    if value == _STRICT and back != name:
        text = f"1, and the route to {client} leads by {back}: the kernel drops what comes in here"
        return fail(text, loosen, name)
    return ok(f"{value}; the route to {client} leads by {back}", name)


def _has_ipv4(subject: PreparedAddress, name: str) -> bool:
    return any(key.device == name and len(key.address) == 4 for key, *_ in subject.evidence.host.addresses)


def judge_return(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """Replies from the virtual address find their way to the client, past the director."""
    path, director = subject.path, subject.evidence.director
    client = format_address(path.client)
    if path.reply is None:
        away = "" if path.chosen else ", which stands for any client far away"
        fix = "ip route add default via ROUTER"
        named = "" if path.chosen else "; where all clients are near, name one with --client"
        yield fail(f"no route to {client}{away}", fix + named)
        return
    by = path.reply.device
    if by == LOOPBACK:
        cause = first_of(("vip",), failed)
        yield fail(f"{client} is local to this host", "name a client with --client", by, cause)
    elif director is not None and path.next_hop == director:
        yield _by_the_director(subject, director, by)
    elif path.unanswered:
        hop = format_address(path.next_hop)
        yield fail(
            f"{hop} does not answer on {by}: replies to {client} stay here", f"ip neigh show {hop}", by
        )
    else:
        yield ok(f"{client} via {format_address(path.next_hop)}" if path.reply.gateway else client, by)


def _by_the_director(subject: PreparedAddress, director: Address, device: str) -> RequirementResult:
    text = (
        f"replies go to the director {format_address(director)}, which has {subject.virtual} itself and "
        "drops what comes from it"
    )
    return fail(text, "ip route replace default via ROUTER, another one than the director", device)
