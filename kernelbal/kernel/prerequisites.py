"""What a director needs of its machine, and what is missing on one, each with its remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from kernelbal.kernel.modules import MODPROBE_FILE, Presence, recommended_bits
from kernelbal.model.verification import Requirement, RequirementResult, ResultStatus, fail, results_of, warn

HIDDEN_FROM_UNITS: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - names, not files
"""What `ProtectHome` and `PrivateTmp` of the unit hide."""
NEEDED_CAPABILITIES: Final = {
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SETUID": 7,
    "CAP_SETGID": 6,
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


def check_prerequisites(machine: MachineFacts) -> tuple[RequirementResult, ...]:
    """Return what is missing or may surprise, failures first."""
    found = results_of(REQUIREMENTS, machine)
    return tuple(sorted(found, key=lambda result: result.status is not ResultStatus.FAIL))


def _ipvs(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    if not machine.ipvs.usable:
        yield fail(
            "this kernel has no IPVS (module ip_vs)",
            "Ubuntu: apt install linux-modules-extra-$(uname -r); Debian: boot linux-image-amd64 or -arm64; "
            "Red Hat: dnf install kernel-modules",
        )
    elif machine.ipvs is Presence.UNKNOWN:
        yield warn(
            "this kernel does not say whether it has IPVS (module ip_vs)",
            "see whether `modprobe ip_vs && cat /proc/net/ip_vs` works",
        )


def _nftables(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    if not machine.nf_tables.usable:
        yield fail(
            "this kernel has no nftables (module nf_tables)",
            "boot the kernel of the distribution; marks, one-armed NAT and port following need it",
        )
    if not machine.libnftables:
        yield fail(
            "the library libnftables.so.1 cannot be loaded",
            "Debian, Ubuntu: apt install libnftables1; Red Hat: dnf install nftables",
        )


def _systemd(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    if not machine.systemd:
        yield warn(
            "systemd does not run this machine, so the unit starts nothing here",
            "start `kernelbal run` by what starts services here",
        )


def _program(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    for path in machine.program_paths:
        if any(PurePath(path).is_relative_to(hidden) for hidden in HIDDEN_FROM_UNITS):
            yield fail(
                f"the unit cannot see {path}: it runs without home directories and /tmp",
                "install it elsewhere: python3 -m venv /opt/kernelbal && /opt/kernelbal/bin/pip install "
                "--require-hashes -r requirements.txt, then /opt/kernelbal/bin/kernelbal setup director",
            )
            return


def _capabilities(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    lost = [name for name, bit in NEEDED_CAPABILITIES.items() if not machine.capabilities >> bit & 1]
    if lost:
        yield fail(
            f"no process here can have {', '.join(lost)}",
            "in a container, add them to it; a director needs the network of its host",
        )


def _table(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    buckets = 1 << recommended_bits(machine.memory_bytes)
    if 0 < machine.table_buckets < buckets:
        yield warn(
            f"the IPVS connection table has {machine.table_buckets} buckets; {buckets} fit this machine",
            f"{MODPROBE_FILE} has effect when ip_vs is loaded anew: reboot, or, without IPVS services, "
            "modprobe --remove ip_vs && modprobe ip_vs",
        )


def _writers(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    for name in WRITERS_OF_IPVS:
        state = _runs(name, machine)
        if state:
            yield warn(
                f"{name} {state}, and may write to IPVS too",
                f"systemctl disable --now {name}, or leave it no virtual servers; kernelbal touches only "
                "what it made, and never removes what others made",
            )
    if KUBE_DEVICE in machine.devices:
        yield fail(
            f"kube-proxy runs in its IPVS mode here ({KUBE_DEVICE} is there), and removes services of others",
            "use a machine of its own for the director, or start kube-proxy with --proxy-mode=nftables",
        )


def _forwarding(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    for path in machine.forwarding_off_in:
        yield warn(
            f"{path} switches net.ipv4.ip_forward off; kernelbal switches it on where NAT needs it",
            "remove that line: each `sysctl --system` interrupts NAT for a moment",
        )


def _firewall(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    for name in FIREWALLS:
        state = _runs(name, machine)
        if state:
            yield warn(
                f"{name} {state}",
                "let it accept the ports of every virtual service, and forwarding for NAT",
            )
    if machine.dropping_chains:
        chains = ", ".join(f"`{chain}`" for chain in machine.dropping_chains)
        yield warn(
            f"what is not accepted is dropped by {chains}",
            "accept the ports of every virtual service where packets come in, and the replies of NAT "
            "real servers where they are forwarded",
        )


def _clock(machine: MachineFacts, failed: Collection[str]) -> Iterator[RequirementResult]:
    if not machine.processes & CLOCK_PROGRAMS:
        yield warn(
            "nothing sets the clock of this machine; times in events and expiry of certificates need it",
            "apt install systemd-timesyncd, or chrony",
        )


def _runs(name: str, machine: MachineFacts) -> str:
    if name in machine.processes:
        return "is running"
    return "starts at boot" if name in machine.enabled else ""


REQUIREMENTS: Final[tuple[Requirement[MachineFacts], ...]] = (
    Requirement("ipvs", "It balances the connections.", _ipvs),
    Requirement("nftables", "Marks, one-armed NAT and port following need it.", _nftables),
    Requirement("systemd", "It starts the daemon, and restarts it.", _systemd),
    Requirement("program", "The unit runs it without home directories and /tmp.", _program),
    Requirement("capabilities", "What the daemon may do is what it can do.", _capabilities),
    Requirement("table", "A small connection table costs time with every packet.", _table),
    Requirement("others", "Two programs that write to IPVS conflict.", _writers),
    Requirement("forwarding", "NAT needs it.", _forwarding),
    Requirement("firewall", "What it drops looks like a dead service.", _firewall),
    Requirement("clock", "Events carry times, and certificates expire.", _clock),
)
