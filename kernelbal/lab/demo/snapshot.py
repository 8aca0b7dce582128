"""Everything of a director that kernelbal could have changed, as facts that can be compared."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kernelbal.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kernelbal.lab.namespaces import Host

_SYSCTLS: Final = Path("/proc/sys")
_SYSCTL_TREES: Final = ("net/ipv4", "net/ipv6", "net/netfilter")
_COUNTING: Final = "_count"
"""How the names of sysctls end that say how much of something there is."""
SETTLE_LIMIT_S: Final = 10.0
_SETTLE_POLL_S: Final = 0.1
_UNSETTLED: Final = ("NO-CARRIER", "LOWERLAYERDOWN", "tentative", "linkdown")
"""Words of `ip` for what is about to change."""
_IPVS_TABLE: Final = Path("/proc/thread-self/net/ip_vs")
_PROGRAMS: Final = (
    ("address", ("ip", "-oneline", "address")),
    ("link", ("ip", "-oneline", "link")),
    ("IPv4 route", ("ip", "-oneline", "route", "show", "table", "all")),
    ("IPv6 route", ("ip", "-oneline", "-6", "route", "show", "table", "all")),
    ("nftables", ("nft", "list", "ruleset")),
)


class Fact(NamedTuple):
    """One thing that is so, such as the value of a sysctl."""

    kind: str
    name: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" = {self.value}" if self.value else "")


Snapshot = frozenset[Fact]


def take(host: Host) -> Snapshot:
    """Return addresses, links, routes, nftables rules, IPVS table and network sysctls of a host at rest.

    Raises:
        LabError: a program that shows them failed, or the host does not come to rest.
    """
    facts = set(settle(host))
    with host.inside():
        facts.update(_ipvs())
        facts.update(_sysctls())
    return frozenset(facts)


def _shown(host: Host) -> Iterator[Fact]:
    for kind, argv in _PROGRAMS:
        if shutil.which(argv[0]):
            yield from (Fact(kind, _steady(line.strip())) for line in host.run(argv).stdout.splitlines())


def _steady(line: str) -> str:
    """A device gets its queue when it is first up, and keeps it when it is down again (`dev_activate`)."""
    return line.replace(" qdisc noop ", " qdisc noqueue ")


def settle(host: Host) -> Snapshot:
    """Wait until nothing moves any more on a host that was changed; return what programs show of it then.

    The kernel reports a link that is up, up to a second later, and adds IPv6 routes then.

    Raises:
        LabError: it still moves after `SETTLE_LIMIT_S`.
    """
    until = time.monotonic() + SETTLE_LIMIT_S
    before: Snapshot = frozenset()
    while time.monotonic() < until:
        now = frozenset(_shown(host))
        if now == before and not any(word in fact.name for fact in now for word in _UNSETTLED):
            return now
        before = now
        time.sleep(_SETTLE_POLL_S)
    raise LabError(f"the links of {host.name} do not settle")


def _ipvs() -> Iterator[Fact]:
    # The first line says how large the hash table of services happens to be.
    for line in _IPVS_TABLE.read_text(encoding="ascii").splitlines()[1:]:
        yield Fact("IPVS", line.strip())


def _sysctls() -> Iterator[Fact]:
    for tree in _SYSCTL_TREES:
        for folder, _, names in os.walk(_SYSCTLS / tree):
            for name in names:
                path = Path(folder, name)
                if not name.endswith(_COUNTING) and (value := _value(path)) is not None:
                    yield Fact("sysctl", str(path.relative_to(_SYSCTLS)), value)


def _value(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # can only be written, or has not been set
        return None


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Return what is no longer or newly so; sysctls that a module has brought with it are no change."""
    known = {fact.name for fact in before if fact.kind == "sysctl"}
    new = [fact for fact in after - before if fact.kind != "sysctl" or fact.name in known]
    return [f"- {fact}" for fact in sorted(before - after)] + [f"+ {fact}" for fact in sorted(new)]


def counts(
    snapshot: Snapshot, kinds: Iterable[str] = ("sysctl", "address", "IPv4 route", "IPv6 route")
) -> str:
    """Return how much was compared, such as `1243 sysctls, 6 addresses`."""
    numbers = {kind: sum(fact.kind == kind for fact in snapshot) for kind in kinds}
    plural = {"address": "addresses"}
    return ", ".join(f"{number} {plural.get(kind, kind + 's')}" for kind, number in numbers.items())
