"""What a director needs of its machine, each with its remedy."""

from dataclasses import replace
from typing import Any

import pytest

from kernelbal.kernel.modules import Presence
from kernelbal.kernel.prerequisites import NEEDED_CAPABILITIES, MachineFacts, check_prerequisites
from kernelbal.model.verification import ResultStatus
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
    ("changes", "status", "requirement", "message", "fix"),
    [
        ({"ipvs": Presence.ABSENT}, ResultStatus.FAIL, "ipvs", "no IPVS", "linux-modules-extra"),
        ({"ipvs": Presence.UNKNOWN}, ResultStatus.WARN, "ipvs", "does not say", "modprobe ip_vs"),
        ({"nf_tables": Presence.ABSENT}, ResultStatus.FAIL, "nftables", "no nftables", "distribution"),
        ({"libnftables": False}, ResultStatus.FAIL, "nftables", "libnftables", "apt install libnftables1"),
        ({"systemd": False}, ResultStatus.WARN, "systemd", "starts nothing", "kernelbal run"),
        ({"program_paths": ("/root/.local/bin/kernelbal", "/root/.local")}, ResultStatus.FAIL, "program",
         "cannot see /root/.local/bin/kernelbal", "/opt/kernelbal"),
        ({"program_paths": ("/usr/bin/kernelbal", "/home/ann/.pyenv")}, ResultStatus.FAIL, "program",
         "ann", ""),
        ({"capabilities": (1 << 41) - 1 & ~(1 << 12)}, ResultStatus.FAIL, "capabilities",
         "CAP_NET_ADMIN", "host"),
        ({"table_buckets": 4096}, ResultStatus.WARN, "table", "4096 buckets; 262144 fit", "modprobe"),
        ({"processes": GOOD.processes | {"keepalived"}}, ResultStatus.WARN, "others",
         "keepalived is running", "disable --now keepalived"),
        ({"enabled": frozenset({"ldirectord"})}, ResultStatus.WARN, "others",
         "ldirectord starts at boot", ""),
        ({"devices": frozenset({"kube-ipvs0"})}, ResultStatus.FAIL, "others", "kube-proxy", "nftables"),
        ({"forwarding_off_in": ("/etc/sysctl.d/10.conf",)}, ResultStatus.WARN, "forwarding",
         "/etc/sysctl.d/10.conf switches", "remove that line"),
        ({"enabled": frozenset({"ufw"})}, ResultStatus.WARN, "firewall", "ufw starts at boot", "ports"),
        ({"dropping_chains": ("inet filter input", "ip filter FORWARD")}, ResultStatus.WARN, "firewall",
         "`inet filter input`, `ip filter FORWARD`", "replies"),
        ({"processes": frozenset({"sshd"})}, ResultStatus.WARN, "clock", "nothing sets the clock", "chrony"),
    ],
)  # fmt: skip
def test_each_lack_has_its_remedy(
    changes: dict[str, Any], status: ResultStatus, requirement: str, message: str, fix: str
) -> None:
    (result,) = check_prerequisites(replace(GOOD, **changes))
    assert (result.status, result.requirement) == (status, requirement)
    assert message in result.message
    assert fix in result.fix


def test_a_table_that_is_not_loaded_gets_its_size_at_boot() -> None:
    assert check_prerequisites(replace(GOOD, table_buckets=0)) == ()


def test_chains_that_cannot_be_read_are_no_finding() -> None:
    assert check_prerequisites(replace(GOOD, dropping_chains=None)) == ()


def test_errors_come_first() -> None:
    found = check_prerequisites(replace(GOOD, systemd=False, capabilities=0, ipvs=Presence.UNKNOWN))
    assert [result.status for result in found] == [ResultStatus.FAIL, ResultStatus.WARN, ResultStatus.WARN]


def test_the_capabilities_are_those_of_the_unit() -> None:
    (line,) = [
        line
        for line in (unit_directory() / "kernelbal.service").read_text().splitlines()
        if line.startswith("CapabilityBoundingSet=")
    ]
    assert line.partition("=")[2].split() == list(NEEDED_CAPABILITIES)
