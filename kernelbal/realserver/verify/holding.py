"""Whether the host has the virtual address where it should, and the devices that bring packets for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kernelbal.model.address import Address, format_address, host_prefix
from kernelbal.model.network import AddressKey
from kernelbal.model.verification import RequirementResult, fail, first_of, ok
from kernelbal.realserver.command_line import command_of
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.setup import LOOPBACK
from kernelbal.realserver.tunnels import DEVICES
from kernelbal.realserver.verify.prepared_address import APPLY, PreparedAddress

_QUIET_KINDS = ("dummy",)
"""Kinds of devices without a network behind them."""


def judge_address(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The virtual address is on a device that no neighbour asks; with `redirect`, on none."""
    held = subject.held()
    if subject.one.method is Method.REDIRECT:
        for key in held:
            yield fail(f"on {key.device}, and `redirect` works without it", _delete(key), key.device)
        if not held:
            yield ok("not an address of this host, as `redirect` requires")
        return
    misplaced = [result for key in held if (result := _misplaced(subject, key)) is not None]
    yield from misplaced
    if not held:
        cause = first_of(("device",), failed)
        yield fail("not an address of this host", APPLY, subject.holder, cause)
    elif not misplaced:
        yield ok(", ".join(map(str, held)))


def _misplaced(subject: PreparedAddress, key: AddressKey) -> RequirementResult | None:
    link = subject.link(key.device)
    quiet = key.device in (LOOPBACK, subject.holder) or (link is not None and link.kind in _QUIET_KINDS)
    if not quiet:
        asks = "ARP" if subject.is_ipv4 else "neighbour discovery"
        return fail(f"on {key.device}, where this host answers {asks} for it", _delete(key), key.device)
    if key.prefix != host_prefix(key.address):
        whole = f"/{key.prefix} makes a whole network local: the host reaches none of it"
        return fail(f"on {key.device}: {whole}", f"{_delete(key)}; {APPLY}", key.device)
    reason = subject.evidence.unusable.get(key.address, "")
    if reason:
        return fail(f"on {key.device}, but not in use: {reason}", f"{_delete(key)}; {APPLY}", key.device)
    return None


def _delete(key: AddressKey) -> str:
    return f"ip address del {key}"


def judge_real_address(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The host still has the addresses that it was prepared with; a lease of DHCP may have ended."""
    one = subject.one
    wanted = {one.real: "the director sends to it"}
    if not one.holds_address:
        wanted.setdefault(subject.target, "`redirect` leads to it")
    for address, use in wanted.items():
        yield _judge_own(subject, address, use, first_of(("device",), failed))


def _judge_own(subject: PreparedAddress, address: Address, use: str, cause: str) -> RequirementResult:
    shown, key = format_address(address), _own_place(subject, address)
    if key is None:
        return fail(f"{shown} is no address of this host, and {use}", _renewal(subject, address), "", cause)
    reason = subject.evidence.unusable.get(address, "")
    if reason:
        fix = f"once no other host has it: {_delete(key)}; ip address add {key}"
        text = f"{shown} is not in use ({reason}), and {use}"
        return fail(text, fix, key.device, cause)
    return ok(shown, key.device)


def _renewal(subject: PreparedAddress, address: Address) -> str:
    """The whole command: what is left out is prepared by default, such as dsr in place of a tunnel."""
    if address == subject.one.real:
        anew = command_of(subject.one, real="NEW")
        return f"give it back, or with the new one for NEW: {anew}; then correct the site file"
    return f"give it back, or let another one be found: {command_of(subject.one)}"


def _own_place(subject: PreparedAddress, address: Address) -> AddressKey | None:
    """Where the host itself has an address; on a tunnel device `redirect` has put it, and that stays."""
    keys = [key for key, *_ in subject.evidence.host.addresses if key.address == address]
    outside = [key for key in keys if key.device not in DEVICES]
    by = [key for key in outside if key.device in subject.one.interfaces]
    return next(iter((*by, *outside)), None)


def judge_devices(subject: PreparedAddress, failed: Collection[str]) -> Iterator[RequirementResult]:
    """The devices by which packets come in are up, and the tunnel device is the right one."""
    for name in dict.fromkeys((*subject.one.interfaces, *_holders(subject))):
        yield _judge_device(subject, name)


def _holders(subject: PreparedAddress) -> tuple[str, ...]:
    return (subject.holder,) if subject.one.holds_address or subject.wrapped else ()


def _judge_device(subject: PreparedAddress, name: str) -> RequirementResult:
    link, wrapped = subject.link(name), subject.wrapped
    tunnel = wrapped if wrapped is not None and wrapped.device == name else None
    if link is None:
        fix = f"modprobe {tunnel.module}; {APPLY}" if tunnel else "prepare the host for another interface"
        return fail("there is no such device", fix, name)
    if tunnel is not None and link.kind != tunnel.kind:
        kind = link.kind or "hardware"
        return fail(f"of kind {kind}, not {tunnel.kind}", f"ip link delete {name}; {APPLY}", name)
    if not link.up:
        return fail("down", f"ip link set {name} up", name)
    inner_here = not subject.is_ipv4 and (wrapped is None or tunnel is not None or name == LOOPBACK)
    path = f"net/ipv6/conf/{name}/disable_ipv6"
    if inner_here and subject.evidence.host.sysctls.get(path) == "1":
        return fail("IPv6 is switched off", f"sysctl -w {path}=0; {APPLY}", name)
    return ok(f"up, {link.kind}" if tunnel else "up", name)
