"""What a director needs of its machine, each with its remedy."""

from dataclasses import replace
from typing import Any

import pytest

from kernelbal.kernel.modules import Presence
from kernelbal.kernel.prerequisites import (
    NEEDED_CAPABILITIES,
    FindingLevel,
    MachineFacts,
    check_prerequisites,
)
from kernelbal.render import unit_directory

GOOD = MachineFacts(
    ipvs=Presence.LOADED,
    nf_tables=Presence.LOADED,
    libnftables=True,
    systemd=True,
    program_paths=("/opt/kernelbal/bin/kernelbal", "/usr"),
    capabilities=(1 << 41) - 1,
    table_buckets=1 << 18,
    memory_bytes=4 * 1024**3,
    processes=frozenset({"systemd", "chronyd", "sshd"}),
)


def test_nothing_is_said_of_a_machine_that_has_everything() -> None:
    assert check_prerequisites(GOOD) == ()


@pytest.mark.parametrize(
    ("changes", "level", "subject", "message", "hint"),
    [
        ({"ipvs": Presence.ABSENT}, FindingLevel.ERROR, "ipvs", "no IPVS", "linux-modules-extra"),
        ({"ipvs": Presence.UNKNOWN}, FindingLevel.WARNING, "ipvs", "cannot tell", "modprobe ip_vs"),
        ({"nf_tables": Presence.ABSENT}, FindingLevel.ERROR, "nftables", "no nftables", "distribution"),
        ({"libnftables": False}, FindingLevel.ERROR, "nftables", "libnftables", "apt install libnftables1"),
        ({"systemd": False}, FindingLevel.WARNING, "systemd", "has no effect", "kernelbal run"),
        (
            {"program_paths": ("/root/.local/bin/kernelbal", "/root/.local")},
            FindingLevel.ERROR,
            "program",
            "cannot see /root/.local/bin/kernelbal",
            "/opt/kernelbal",
        ),
        (
            {"program_paths": ("/usr/bin/kernelbal", "/home/ann/.pyenv")},
            FindingLevel.ERROR,
            "program",
            "ann",
            "",
        ),
        (
            {"capabilities": (1 << 41) - 1 & ~(1 << 12)},
            FindingLevel.ERROR,
            "capabilities",
            "CAP_NET_ADMIN",
            "host",
        ),
        ({"table_buckets": 4096}, FindingLevel.WARNING, "table", "4096 buckets; 262144 fit", "modprobe"),
        (
            {"processes": GOOD.processes | {"keepalived"}},
            FindingLevel.WARNING,
            "others",
            "keepalived is running",
            "disable --now keepalived",
        ),
        (
            {"enabled": frozenset({"ldirectord"})},
            FindingLevel.WARNING,
            "others",
            "ldirectord starts at boot",
            "",
        ),
        ({"devices": frozenset({"kube-ipvs0"})}, FindingLevel.ERROR, "others", "kube-proxy", "nftables"),
        (
            {"forwarding_off_in": ("/etc/sysctl.d/10.conf",)},
            FindingLevel.WARNING,
            "forwarding",
            "/etc/sysctl.d/10.conf disables",
            "remove that line",
        ),
        ({"enabled": frozenset({"ufw"})}, FindingLevel.WARNING, "firewall", "ufw starts at boot", "ports"),
        (
            {"dropping_chains": ("inet filter input", "ip filter FORWARD")},
            FindingLevel.WARNING,
            "firewall",
            "`inet filter input`, `ip filter FORWARD`",
            "replies",
        ),
        (
            {"processes": frozenset({"sshd"})},
            FindingLevel.WARNING,
            "clock",
            "no time synchronization",
            "chrony",
        ),
    ],
)
def test_each_lack_has_its_remedy(
    changes: dict[str, Any], level: FindingLevel, subject: str, message: str, hint: str
) -> None:
    (finding,) = check_prerequisites(replace(GOOD, **changes))
    assert (finding.level, finding.subject) == (level, subject)
    assert message in finding.message
    assert hint in finding.hint


def test_a_table_that_is_not_loaded_gets_its_size_at_boot() -> None:
    assert check_prerequisites(replace(GOOD, table_buckets=0)) == ()


def test_chains_that_cannot_be_read_are_no_finding() -> None:
    assert check_prerequisites(replace(GOOD, dropping_chains=None)) == ()


def test_errors_come_first() -> None:
    found = check_prerequisites(replace(GOOD, systemd=False, capabilities=0, ipvs=Presence.UNKNOWN))
    assert [finding.level for finding in found] == [
        FindingLevel.ERROR,
        FindingLevel.WARNING,
        FindingLevel.WARNING,
    ]


def test_the_capabilities_are_those_of_the_unit() -> None:
    (line,) = [
        line
        for line in (unit_directory() / "kernelbal.service").read_text().splitlines()
        if line.startswith("CapabilityBoundingSet=")
    ]
    assert line.partition("=")[2].split() == list(NEEDED_CAPABILITIES)
