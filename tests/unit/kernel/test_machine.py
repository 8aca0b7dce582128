"""Facts about a machine, read from its files."""

from pathlib import Path

import pytest

from kernelbal.errors import NotPermitted
from kernelbal.kernel import machine
from kernelbal.kernel.machine import read_machine_facts
from kernelbal.kernel.modules import Presence
from kernelbal.kernel.nftables import Nftables

PROGRAM = Path("/opt/kernelbal/bin/kernelbal")


class Chains:
    """An nftables with one chain that drops."""

    def dropping_chains(self) -> tuple[str, ...]:
        return ("inet filter input",)


@pytest.fixture(autouse=True)
def _nftables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Nftables, "open", Chains)


def put(root: Path, name: str, text: str = "") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_everything_is_found_where_it_is(tmp_path: Path) -> None:
    put(tmp_path, "proc/modules", "ip_vs 200704 2 - Live 0x0\nnf_tables 300000 1 - Live 0x0\n")
    put(tmp_path, "proc/net/ip_vs", "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port\n")
    put(tmp_path, "proc/meminfo", "MemTotal: 1024 kB\n")
    put(tmp_path, "proc/self/status", "Name:\tx\nCapBnd:\t00000000000030e0\nCapAmb:\t0000000000000000\n")
    put(tmp_path, "proc/1/comm", "systemd\n")
    put(tmp_path, "proc/77/comm", "keepalived\n")
    put(tmp_path, "run/systemd/system/x")
    put(tmp_path, "sys/class/net/kube-ipvs0")
    put(tmp_path, "etc/systemd/system/multi-user.target.wants/ufw.service")
    put(tmp_path, "etc/systemd/system/multi-user.target.wants/remote-fs.target")
    facts = read_machine_facts(PROGRAM, tmp_path)
    assert (facts.ipvs, facts.nf_tables) == (Presence.LOADED, Presence.LOADED)
    assert facts.systemd
    assert facts.capabilities == 0x30E0
    assert facts.table_buckets == 4096
    assert facts.memory_bytes == 1024 * 1024
    assert {"systemd", "keepalived"} <= facts.processes
    assert facts.enabled == {"ufw"}
    assert facts.devices == {"kube-ipvs0"}
    assert facts.dropping_chains == ("inet filter input",)
    assert str(PROGRAM) == facts.program_paths[0]


def test_a_machine_without_anything_is_read_without_an_error(tmp_path: Path) -> None:
    facts = read_machine_facts(PROGRAM, tmp_path)
    assert not facts.systemd
    assert (facts.capabilities, facts.table_buckets, facts.memory_bytes) == (0, 0, 0)
    assert facts.processes == facts.enabled == facts.devices == frozenset()
    assert facts.forwarding_off_in == ()


@pytest.mark.parametrize(
    ("line", "off"),
    [
        ("net.ipv4.ip_forward = 0", True),
        ("net/ipv4/ip_forward=0", True),
        ("-net.ipv4.ip_forward=0", True),
        ("net.ipv4.ip_forward=1", False),
        ("#net.ipv4.ip_forward=0", False),
        ("net.ipv4.ip_forward_use_pmtu=0", False),
    ],
)
def test_files_that_switch_forwarding_off_are_named(tmp_path: Path, line: str, off: bool) -> None:
    put(tmp_path, "etc/sysctl.conf", f"# of old\n{line}\n")
    put(tmp_path, "etc/sysctl.d/50-x.conf", f"{line}\n")
    put(tmp_path, "etc/sysctl.d/README", f"{line}\n")
    found = read_machine_facts(PROGRAM, tmp_path).forwarding_off_in
    both = (str(tmp_path / "etc/sysctl.conf"), str(tmp_path / "etc/sysctl.d/50-x.conf"))
    assert found == (both if off else ())


def test_chains_that_may_not_be_read_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Nftables:
        raise NotPermitted("list", "chains", 1, "not permitted")

    monkeypatch.setattr(Nftables, "open", refuse)
    assert read_machine_facts(PROGRAM, tmp_path).dropping_chains is None


def test_a_library_that_is_missing_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LIBRARY", "libnftables-of-another-world.so")
    assert not read_machine_facts(PROGRAM, tmp_path).libnftables
