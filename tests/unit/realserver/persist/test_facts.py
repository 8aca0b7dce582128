"""What a host's network is configured by, read from a file system made for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from kernelbal.realserver.persist.detect import Facts, Profile
from kernelbal.realserver.persist.facts import read_facts


def made(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def saying(answers: Mapping[str, str]) -> object:
    def ask(command: Sequence[str]) -> str:
        return answers.get(" ".join(command), "")

    return ask


def facts(root: Path, answers: Mapping[str, str] | None = None) -> Facts:
    return read_facts(root, saying(answers or {}))  # type: ignore[arg-type] # a function of that shape


def configured(file: str) -> str:
    return f"ADMIN_STATE=configured\nOPER_STATE=routable\nNETWORK_FILE={file}\n"


SYSTEMD = {"run/systemd/system/.keep": ""}


def test_an_empty_host_has_nothing(tmp_path: Path) -> None:
    assert facts(tmp_path) == Facts()


def test_networkd_tells_by_index_which_file_a_device_has(tmp_path: Path) -> None:
    root = made(
        tmp_path,
        {
            **SYSTEMD,
            "sys/class/net/lo/ifindex": "1\n",
            "sys/class/net/eth0/ifindex": "7\n",
            "sys/class/net/eth1/ifindex": "8\n",
            "run/systemd/netif/links/1": configured("/etc/systemd/network/lo.network"),
            "run/systemd/netif/links/7": configured("/run/systemd/network/a.network"),
            "run/systemd/netif/links/8": "ADMIN_STATE=unmanaged\n",
        },
    )
    found = facts(root, {"systemctl is-active systemd-networkd.service": "active\n"})
    assert found.networkd
    assert found.networkd_devices == {
        "eth0": "/run/systemd/network/a.network",
        "lo": "/etc/systemd/network/lo.network",
    }
    assert found.lo_network == "/etc/systemd/network/lo.network"
    assert not facts(root, {"systemctl is-active systemd-networkd.service": "inactive\n"}).networkd


def test_networkmanager_is_asked_for_its_version_and_its_devices(tmp_path: Path) -> None:
    answers = {
        "systemctl is-active NetworkManager.service": "active\n",
        "nmcli --version": "nmcli tool, version 1.42.4-1.fc38\n",
        "nmcli --terse --fields DEVICE,STATE,CONNECTION device": (
            "eth0:connected:Wired\\: one\nlo:connected (externally):lo\nbr\\:0:unmanaged:\n"
        ),
    }
    found = facts(made(tmp_path, SYSTEMD), answers)
    assert found.networkmanager == (1, 42)
    assert found.profiles == {
        "eth0": Profile("connected", "Wired: one"),
        "lo": Profile("connected (externally)", "lo"),
        "br:0": Profile("unmanaged", ""),
    }


@pytest.mark.parametrize(
    ("interfaces", "sources"),
    [
        ("source /etc/network/interfaces.d/*\n", True),
        ("source interfaces.d/*\n", True),
        ("source-directory /etc/network/interfaces.d\n", True),
        ("source-directory interfaces.d/\n", True),
        ("source /etc/network/interfaces.d/*.cfg\n", False),
        ("# source /etc/network/interfaces.d/*\n", False),
        ("auto lo\niface lo inet loopback\n", False),
        ("source '/etc/network/unbalanced\n", False),
    ],
)
def test_ifupdown_reads_our_file_where_it_is_sourced(tmp_path: Path, interfaces: str, sources: bool) -> None:
    root = made(tmp_path, {"usr/sbin/ifup": "", "etc/network/interfaces": interfaces})
    found = facts(root)
    assert found.ifup
    assert found.sources_ours is sources


def test_stanzas_are_found_in_sourced_files_too(tmp_path: Path) -> None:
    root = made(
        tmp_path,
        {
            "etc/network/interfaces": "source interfaces.d/*\niface lo inet loopback\n",
            "etc/network/interfaces.d/one": "iface eth0 inet static\n  address 10.0.0.11/24\n",
            "etc/network/interfaces.d/two": "iface eth1:0 inet static\nsource-directory ../more.d\n",
            "etc/network/more.d/three": "iface eth2 \\\n inet manual\n",
            "etc/network/more.d/not.read": "iface eth3 inet manual\n",
        },
    )
    (root / "etc/network/interfaces.d/two").write_text("iface eth1:0 inet static\nsource-directory more.d\n")
    assert facts(root).stanzas == {"lo", "eth0", "eth1", "eth2"}


def test_files_that_source_each_other_end(tmp_path: Path) -> None:
    root = made(tmp_path, {"etc/network/interfaces": "source interfaces\niface lo inet loopback\n"})
    assert facts(root).stanzas == {"lo"}


def test_programs_are_found_where_systemd_looks(tmp_path: Path) -> None:
    root = made(tmp_path, {"usr/local/sbin/nft": "", "opt/bin/ip": ""})
    assert facts(root).programs == {"nft"}
