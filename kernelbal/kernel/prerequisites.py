"""Prerequisites of a director: findings on the facts of a machine, each with its remedy."""

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


class FindingLevel(Enum):
    """How much a finding matters."""

    ERROR = "error"
    """The daemon does not start, or does not do its work."""
    WARNING = "warning"
    """It works, and something may surprise."""


class PrerequisiteFinding(NamedTuple):
    """Something about the machine that an operator should know."""

    level: FindingLevel
    subject: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class MachineFacts:
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


def check_prerequisites(facts: MachineFacts) -> tuple[PrerequisiteFinding, ...]:
    """Return what is missing or may surprise, errors first."""
    found = [finding for check in _PREREQUISITES for finding in check(facts)]
    return tuple(sorted(found, key=lambda finding: finding.level is not FindingLevel.ERROR))


def _ipvs(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    if not facts.ipvs.usable:
        yield PrerequisiteFinding(
            FindingLevel.ERROR,
            "ipvs",
            "this kernel has no IPVS (module ip_vs)",
            "Ubuntu: apt install linux-modules-extra-$(uname -r); Debian: boot linux-image-amd64 or -arm64; "
            "Red Hat: dnf install kernel-modules",
        )
    elif facts.ipvs is Presence.UNKNOWN:
        yield PrerequisiteFinding(
            FindingLevel.WARNING,
            "ipvs",
            "cannot tell whether this kernel has IPVS (module ip_vs)",
            "check that `modprobe ip_vs && cat /proc/net/ip_vs` works",
        )


def _nftables(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    if not facts.nf_tables.usable:
        yield PrerequisiteFinding(
            FindingLevel.ERROR,
            "nftables",
            "this kernel has no nftables (module nf_tables)",
            "boot the distribution's kernel; firewall marks, one-armed NAT and port following need it",
        )
    if not facts.libnftables:
        yield PrerequisiteFinding(
            FindingLevel.ERROR,
            "nftables",
            "the library libnftables.so.1 cannot be loaded",
            "Debian, Ubuntu: apt install libnftables1; Red Hat: dnf install nftables",
        )


def _systemd(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    if not facts.systemd:
        yield PrerequisiteFinding(
            FindingLevel.WARNING,
            "systemd",
            "systemd is not running on this machine, so the unit has no effect",
            "start `kernelbal run` with the init system of this machine",
        )


def _program(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    for path in facts.program_paths:
        if any(PurePath(path).is_relative_to(hidden) for hidden in HIDDEN_FROM_UNITS):
            yield PrerequisiteFinding(
                FindingLevel.ERROR,
                "program",
                f"the unit cannot see {path}: it runs without home directories and /tmp",
                "install it elsewhere: python3 -m venv /opt/kernelbal && /opt/kernelbal/bin/pip install "
                "kernelbal, then /opt/kernelbal/bin/kernelbal setup director",
            )
            return


def _capabilities(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    lost = [name for name, bit in NEEDED_CAPABILITIES.items() if not facts.capabilities >> bit & 1]
    if lost:
        yield PrerequisiteFinding(
            FindingLevel.ERROR,
            "capabilities",
            f"missing from the capability bounding set: {', '.join(lost)}",
            "in a container, add them; a director needs the network of its host",
        )


def _table(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    buckets = 1 << recommended_bits(facts.memory_bytes)
    if 0 < facts.table_buckets < buckets:
        yield PrerequisiteFinding(
            FindingLevel.WARNING,
            "table",
            f"the IPVS connection table has {facts.table_buckets} buckets; {buckets} fit this machine",
            f"{MODPROBE_FILE} takes effect when ip_vs is reloaded: reboot, or, without IPVS services, "
            "modprobe --remove ip_vs && modprobe ip_vs",
        )


def _writers(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    for name in WRITERS_OF_IPVS:
        state = _runs(name, facts)
        if state:
            yield PrerequisiteFinding(
                FindingLevel.WARNING,
                "others",
                f"{name} {state}, and may write to IPVS too",
                f"systemctl disable --now {name}, or configure no virtual servers in it; kernelbal touches "
                "only what it created",
            )
    if KUBE_DEVICE in facts.devices:
        yield PrerequisiteFinding(
            FindingLevel.ERROR,
            "others",
            f"kube-proxy runs in IPVS mode here ({KUBE_DEVICE} exists), and removes services of others",
            "use a dedicated machine for the director, or start kube-proxy with --proxy-mode=nftables",
        )


def _forwarding(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    for path in facts.forwarding_off_in:
        yield PrerequisiteFinding(
            FindingLevel.WARNING,
            "forwarding",
            f"{path} disables net.ipv4.ip_forward; kernelbal enables it where NAT needs it",
            "remove that line: each `sysctl --system` interrupts NAT for a moment",
        )


def _firewall(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    for name in FIREWALLS:
        state = _runs(name, facts)
        if state:
            yield PrerequisiteFinding(
                FindingLevel.WARNING,
                "firewall",
                f"{name} {state}",
                "make it accept the ports of every virtual service, and forwarding for NAT",
            )
    if facts.dropping_chains:
        chains = ", ".join(f"`{chain}`" for chain in facts.dropping_chains)
        yield PrerequisiteFinding(
            FindingLevel.WARNING,
            "firewall",
            f"default policy drop in {chains}",
            "accept the ports of every virtual service on input, and the replies of NAT "
            "real servers on forward",
        )


def _clock(facts: MachineFacts) -> Iterator[PrerequisiteFinding]:
    if not facts.processes & CLOCK_PROGRAMS:
        yield PrerequisiteFinding(
            FindingLevel.WARNING,
            "clock",
            "no time synchronization is running; times of events and expiry of certificates depend on it",
            "apt install systemd-timesyncd, or chrony",
        )


def _runs(name: str, facts: MachineFacts) -> str:
    if name in facts.processes:
        return "is running"
    return "starts at boot" if name in facts.enabled else ""


_PREREQUISITES: Final[tuple[Callable[[MachineFacts], Iterator[PrerequisiteFinding]], ...]] = (
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
