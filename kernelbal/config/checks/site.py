"""Virtual services against each other, and the settings of the whole site."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from kernelbal.config.checks.context import CheckedService, SiteContext
from kernelbal.config.violation import Path, Violation, shown
from kernelbal.model.address import Address, format_address
from kernelbal.model.site import TimeoutSettings
from kernelbal.model.units import PortRange, format_duration
from kernelbal.plan.sysctls import IPVS_SYSCTLS

MAX_TIMEOUT_S = 2147483
"""Longest IPVS timeout: the kernel takes `INT_MAX / HZ`, here with the largest HZ, 1000."""

_VS_NAMES = tuple(sysctl.name for sysctl in IPVS_SYSCTLS)


class PortClaim(NamedTuple):
    """Ports of an address that somebody takes.

    Attributes:
        order: equal for ports of the same owner, lower for who was there first.
        title: what messages call the owner.
    """

    ports: PortRange
    order: tuple[int, int]
    title: str
    path: Path


def overlapping(claims: list[PortClaim]) -> Iterator[tuple[PortClaim, PortClaim, PortRange]]:
    """Yield the ports that are taken twice: by whom first, and by whom as well."""
    claims.sort(key=lambda claim: (claim.ports.low, claim.order))
    widest = claims[0]
    for claim in claims[1:]:
        if claim.ports.low <= widest.ports.high:
            first, second = sorted((widest, claim), key=lambda one: (one.order, one.ports))
            yield first, second, PortRange(claim.ports.low, min(claim.ports.high, widest.ports.high))
        if claim.ports.high > widest.ports.high:
            widest = claim


def claims_of(subject: CheckedService) -> Iterator[PortClaim]:
    """Yield the ports that a virtual service takes."""
    title = f"virtual service `{subject.title}`"
    for index, ports in enumerate(subject.service.ports):
        yield PortClaim(ports, (0, subject.index), title, subject.path("ports", index))


def names(subjects: Sequence[CheckedService], _: SiteContext) -> Iterator[Violation]:
    """No two services share a name."""
    first: dict[str, CheckedService] = {}
    for subject in subjects:
        before = first.setdefault(subject.service.name, subject)
        if before is not subject:
            message = f"name `{subject.service.name}` is given twice"
            other = (before.path("name"), "the first")
            yield subject.violation(("name",), message, "a name of its own", "rename one of them", other)


def marks(subjects: Sequence[CheckedService], _: SiteContext) -> Iterator[Violation]:
    """A firewall mark ties packets to one service."""
    first: dict[int, CheckedService] = {}
    for subject in subjects:
        mark = subject.service.mark
        if mark is None:
            continue
        before = first.setdefault(mark, subject)
        if before is not subject:
            message = f"mark {mark} is taken"
            hint = "remove the key: a free mark is derived from the name"
            other = (before.path("mark"), before.title)
            yield subject.violation(("mark",), message, "a mark of its own", hint, other)


def overlaps(subjects: Sequence[CheckedService], _: SiteContext) -> Iterator[Violation]:
    """A packet belongs to one service."""
    by_address: defaultdict[tuple[str, bytes], list[CheckedService]] = defaultdict(list)
    for subject in subjects:
        by_address[subject.service.protocol.value, subject.service.address].append(subject)
    for (protocol, address), found in by_address.items():
        if len(found) == 1:
            continue
        for first, second, both in overlapping([claim for each in found for claim in claims_of(each)]):
            if first.order != second.order:
                where = f"{format_address(Address(address))}, {protocol} port {both}"
                yield Violation(
                    second.path,
                    f"overlaps {first.title} on {where}",
                    "ports that no other service has on this address",
                    "merge the two, or give one of them another address or other ports",
                    other=(first.path, "there"),
                )


def timeouts(context: SiteContext) -> Iterator[Violation]:
    """IPVS counts its timeouts in whole seconds."""
    settings = context.site.kernel.timeouts
    for name in TimeoutSettings.model_fields:
        value_s: float = getattr(settings, name)
        if value_s != int(value_s) or not 1 <= value_s <= MAX_TIMEOUT_S:
            yield Violation(
                ("kernel", "timeouts", name),
                f"a timeout of {format_duration(value_s)}",
                f"whole seconds from `1s` to `{MAX_TIMEOUT_S}s`",
                "remove the key for the kernel's default",
            )


def sysctl_names(context: SiteContext) -> Iterator[Violation]:
    """Only sysctls below `net.ipv4.vs` that some kernel has."""
    for name in context.site.kernel.sysctls:
        if name not in _VS_NAMES:
            bare = name[:64].replace("/", ".").removeprefix("net.ipv4.vs.")
            similar = (bare,) if bare in _VS_NAMES else get_close_matches(bare, _VS_NAMES, n=1)
            hint = f"did you mean `{similar[0]}`?" if similar else "set others in /etc/sysctl.d"
            yield Violation(
                ("kernel", "sysctls", name),
                f"`{shown(name)}` is no sysctl of `net.ipv4.vs`",
                "a name below `net.ipv4.vs`, without the prefix",
                hint,
                at_key=True,
            )


def sysctl_conntrack(context: SiteContext) -> Iterator[Violation]:
    """Masquerading needs connection tracking."""
    value = context.site.kernel.sysctls.get("conntrack")
    armed = next((s for s in context.subjects if "one_armed" not in s.invalid and s.service.one_armed), None)
    if armed is not None and value is not None and str(value) != "1":
        yield Violation(
            ("kernel", "sysctls", "conntrack"),
            f"conntrack {shown(value)} with a one-armed service",
            "`conntrack: 1`",
            "remove the key: one-armed services switch connection tracking on by themselves",
            other=(armed.path("one_armed"), armed.title),
        )
