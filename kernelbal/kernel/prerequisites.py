"""What a director needs of its machine: facts, and what follows from them, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Final, NamedTuple

from kernelbal.kernel.modules import MODPROBE_FILE, Presence, recommended_bits

HIDDEN_FROM_UNITS: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - names, not files
"""What `ProtectHome` and `PrivateTmp` of the unit hide."""
NEEDED_CAPABILITIES: Final = {
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SETUID": 7,
    "CAP_SETGID": 6,
    "CAP_KILL": 5,
}
"""Those of the unit, with their numbers (`linux/capability.h`)."""
WRITERS_OF_IPVS: Final = ("keepalived", "ldirectord")
FIREWALLS: Final = ("ufw", "firewalld")
CLOCK_PROGRAMS: Final = frozenset(
    {"chronyd", "ntpd", "ntpsec", "openntpd", "systemd-timesyn", "ptp4l", "phc2sys"}
)
"""Names of processes that set the clock; the kernel cuts names after 15 characters."""
KUBE_DEVICE: Final = "kube-ipvs0"
"""A device that kube-proxy makes in its IPVS mode alone."""


class Weight(Enum):
    """How much a finding matters."""

    ERROR = "error"
    """The daemon does not start, or does not do its work."""
    WARNING = "warning"
    """It works, and something may surprise."""


class Finding(NamedTuple):
    """Something about the machine that an operator should know."""

    weight: Weight
    subject: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found on a machine.

    Attributes:
        ipvs: whether the kernel has IPVS.
        nf_tables: whether the kernel has nftables.
        libnftables: whether its library can be loaded.
        systemd: whether systemd runs this machine.
        program_paths: the program, its libraries and its interpreter.
        capabilities: bit mask of what this process and its children may ever have.
        table_buckets: size of the IPVS connection table; 0 where IPVS is not loaded.
        memory_bytes: of the machine.
        processes: names of the processes that run.
        enabled: names of services that start at boot, such as `keepalived`.
        devices: names of network devices.
        forwarding_off_in: files that switch forwarding off at boot.
        dropping_chains: nftables chains that drop by default, such as `inet filter input`; None where they
            cannot be read.
    """

    ipvs: Presence
    nf_tables: Presence
    libnftables: bool
    systemd: bool
    program_paths: tuple[str, ...]
    capabilities: int
    table_buckets: int
    memory_bytes: int
    processes: frozenset[str] = frozenset()
    enabled: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    forwarding_off_in: tuple[str, ...] = ()
    dropping_chains: tuple[str, ...] | None = ()


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Return what is missing or may surprise, errors first."""
    found = [finding for judge_one in _JUDGES for finding in judge_one(facts)]
    return tuple(sorted(found, key=lambda finding: finding.weight is not Weight.ERROR))


def _ipvs(facts: Facts) -> Iterator[Finding]:
    if not facts.ipvs.usable:
        yield Finding(
            Weight.ERROR,
            "ipvs",
            "this kernel has no IPVS (module ip_vs)",
            "Ubuntu: apt install linux-modules-extra-$(uname -r); Debian: boot linux-image-amd64 or -arm64; "
            "Red Hat: dnf install kernel-modules",
        )
    elif facts.ipvs is Presence.UNKNOWN:
        yield Finding(
            Weight.WARNING,
            "ipvs",
            "this kernel does not say whether it has IPVS (module ip_vs)",
            "see whether `modprobe ip_vs && cat /proc/net/ip_vs` works",
        )


def _nftables(facts: Facts) -> Iterator[Finding]:
    if not facts.nf_tables.usable:
        yield Finding(
            Weight.ERROR,
            "nftables",
            "this kernel has no nftables (module nf_tables)",
            "boot the kernel of the distribution; marks, one-armed NAT and port following need it",
        )
    if not facts.libnftables:
        yield Finding(
            Weight.ERROR,
            "nftables",
            "the library libnftables.so.1 cannot be loaded",
            "Debian, Ubuntu: apt install libnftables1; Red Hat: dnf install nftables",
        )


def _systemd(facts: Facts) -> Iterator[Finding]:
    if not facts.systemd:
        yield Finding(
            Weight.WARNING,
            "systemd",
            "systemd does not run this machine, so the unit starts nothing here",
            "start `kernelbal run` by what starts services here",
        )


def _program(facts: Facts) -> Iterator[Finding]:
    for path in facts.program_paths:
        if any(PurePath(path).is_relative_to(hidden) for hidden in HIDDEN_FROM_UNITS):
            yield Finding(
                Weight.ERROR,
                "program",
                f"the unit cannot see {path}: it runs without home directories and /tmp",
                "install it elsewhere: python3 -m venv /opt/kernelbal && /opt/kernelbal/bin/pip install "
                "kernelbal, then /opt/kernelbal/bin/kernelbal setup director",
            )
            return


def _capabilities(facts: Facts) -> Iterator[Finding]:
    lost = [name for name, bit in NEEDED_CAPABILITIES.items() if not facts.capabilities >> bit & 1]
    if lost:
        yield Finding(
            Weight.ERROR,
            "capabilities",
            f"no process here can have {', '.join(lost)}",
            "in a container, add them to it; a director needs the network of its host",
        )


def _table(facts: Facts) -> Iterator[Finding]:
    wanted = 1 << recommended_bits(facts.memory_bytes)
    if 0 < facts.table_buckets < wanted:
        yield Finding(
            Weight.WARNING,
            "table",
            f"the IPVS connection table has {facts.table_buckets} buckets; {wanted} suit this machine",
            f"{MODPROBE_FILE} has effect when ip_vs is loaded anew: reboot, or, without IPVS services, "
            "modprobe --remove ip_vs && modprobe ip_vs",
        )


def _writers(facts: Facts) -> Iterator[Finding]:
    for name in WRITERS_OF_IPVS:
        state = _runs(name, facts)
        if state:
            yield Finding(
                Weight.WARNING,
                "others",
                f"{name} {state}, and may write to IPVS too",
                f"systemctl disable --now {name}, or leave it no virtual servers; kernelbal touches only "
                "what it made, and never removes what others made",
            )
    if KUBE_DEVICE in facts.devices:
        yield Finding(
            Weight.ERROR,
            "others",
            f"kube-proxy runs in its IPVS mode here ({KUBE_DEVICE} is there), and removes services of others",
            "use a machine of its own for the director, or start kube-proxy with --proxy-mode=nftables",
        )


def _forwarding(facts: Facts) -> Iterator[Finding]:
    for path in facts.forwarding_off_in:
        yield Finding(
            Weight.WARNING,
            "forwarding",
            f"{path} switches net.ipv4.ip_forward off; kernelbal switches it on where NAT needs it",
            "remove that line: each `sysctl --system` interrupts NAT for a moment",
        )


def _firewall(facts: Facts) -> Iterator[Finding]:
    for name in FIREWALLS:
        state = _runs(name, facts)
        if state:
            yield Finding(
                Weight.WARNING,
                "firewall",
                f"{name} {state}",
                "let it accept the ports of every virtual service, and forwarding for NAT",
            )
    if facts.dropping_chains:
        chains = ", ".join(f"`{chain}`" for chain in facts.dropping_chains)
        yield Finding(
            Weight.WARNING,
            "firewall",
            f"what is not accepted is dropped by {chains}",
            "accept the ports of every virtual service where packets come in, and the replies of NAT "
            "real servers where they are forwarded",
        )


def _clock(facts: Facts) -> Iterator[Finding]:
    if not facts.processes & CLOCK_PROGRAMS:
        yield Finding(
            Weight.WARNING,
            "clock",
            "nothing sets the clock of this machine; times in events and expiry of certificates need it",
            "apt install systemd-timesyncd, or chrony",
        )


def _runs(name: str, facts: Facts) -> str:
    if name in facts.processes:
        return "is running"
    return "starts at boot" if name in facts.enabled else ""


_JUDGES: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    _ipvs,
    _nftables,
    _systemd,
    _program,
    _capabilities,
    _table,
    _writers,
    _forwarding,
    _firewall,
    _clock,
)
