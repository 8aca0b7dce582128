"""The preparation in the words of other tools."""

from pathlib import Path

import pytest

from kernelbal.errors import PlanRefused
from kernelbal.realserver.persist.manager import KEYFILE, NETWORKD_FILE, UNIT_FILE
from kernelbal.realserver.preparation import Method, PortMap, Preparation
from kernelbal.realserver.printing import NOTHING, Format, System, instructions, print_as
from kernelbal.render import render
from tests.support.builders import held, place
from tests.support.realserver_host import GUE, HTTP, OTHER, VIP, VIP6, host, prepared

DNS = PortMap(17, 53, 53)


def printed(wanted: Format, *preparations: Preparation) -> str:
    return print_as(wanted, preparations, host(), render)


def test_sysctl_conf_as_people_know_it() -> None:
    at = host(held(place("ens32", "10.0.0.12", 24)), routes=())
    assert print_as(Format.SYSCTL, (prepared(interfaces=("ens32",)),), at, render) == (
        "net.ipv4.conf.all.arp_ignore = 1\n"
        "net.ipv4.conf.ens32.arp_ignore = 1\n"
        "net.ipv4.conf.all.arp_announce = 2\n"
        "net.ipv4.conf.ens32.arp_announce = 2\n"
    )


def test_network_scripts() -> None:
    text = printed(Format.IFCFG, prepared(), prepared(OTHER), prepared(VIP6))
    assert "/ifcfg-lo:0\nDEVICE=lo:0\nIPADDR=10.0.0.80\nNETMASK=255.255.255.255\n" in text
    assert "/ifcfg-lo:1\nDEVICE=lo:1\nIPADDR=10.0.0.81\nNETMASK=255.255.255.255\n" in text
    assert text.count("ARPCHECK=no\nARPUPDATE=no\n") == 2
    assert 'IPV6ADDR_SECONDARIES="fd00::80/128"\n' in text
    assert text.endswith("then: ifup lo lo:0 lo:1\n")


def test_network_scripts_know_no_tunnels() -> None:
    with pytest.raises(PlanRefused, match="network scripts cannot express tunl0") as caught:
        printed(Format.IFCFG, prepared(VIP, Method.LOOPBACK, GUE))
    assert "--print unit" in str(caught.value.hint)


def test_arptables() -> None:
    lines = printed(Format.ARPTABLES, prepared(), prepared(VIP6)).splitlines()
    assert lines[:5] == [
        "arptables -A INPUT -d 10.0.0.80 -j DROP",
        "arptables -A OUTPUT -s 10.0.0.80 -o eth0 -j mangle --mangle-ip-s 10.0.0.11",
        "arptables -A OUTPUT -s 10.0.0.80 -o eth1 -j mangle --mangle-ip-s 192.0.2.11",
        "arptables -A OUTPUT -s 10.0.0.80 -j DROP",
        "ip address replace 10.0.0.80/32 dev lo",
    ]
    assert "arptables-save > /etc/sysconfig/arptables" in lines
    assert printed(Format.ARPTABLES, prepared(VIP6)) == NOTHING


def test_nft() -> None:
    assert "ip daddr 10.0.0.80 tcp dport 80 dnat ip to 10.0.0.11:80\n" in printed(
        Format.NFT, prepared(VIP, Method.REDIRECT, None, HTTP)
    )
    assert printed(Format.NFT, prepared()) == NOTHING


@pytest.mark.parametrize(
    ("wanted", "path"),
    [(Format.NETWORKD, NETWORKD_FILE), (Format.NETWORKMANAGER, KEYFILE), (Format.UNIT, UNIT_FILE)],
)
def test_files_stand_below_their_names(wanted: Format, path: str) -> None:
    text = printed(wanted, prepared())
    assert f"# --- {path}\n" in text
    assert "net.ipv4.conf.all.arp_ignore = 1\n" in text
    assert ("systemctl add-wants multi-user.target" in text) == (wanted is Format.UNIT)


def test_a_redirection_needs_no_sysctls_and_no_network_scripts() -> None:
    for wanted in (Format.SYSCTL, Format.IFCFG):
        assert printed(wanted, prepared(method=Method.REDIRECT)) == NOTHING


def test_windows() -> None:
    both = (prepared(VIP, Method.LOOPBACK, None, HTTP, DNS), prepared(VIP6))
    text = instructions(System.WINDOWS, both, "Ethernet 2", render)
    for version in (4, 6):
        assert f'netsh interface ipv{version} set interface "Ethernet 2" weakhostreceive=enabled\n' in text
        assert f'ipv{version} set interface "loopback" weakhostreceive=enabled weakhostsend=enabled\n' in text
    assert "-IPAddress 10.0.0.80 -PrefixLength 32 -SkipAsSource $true\n" in text
    assert "-IPAddress fd00::80 -PrefixLength 128 -SkipAsSource $true\n" in text
    assert "-LocalAddress 10.0.0.80 -Protocol TCP -LocalPort 80\n" in text
    assert "-LocalAddress 10.0.0.80 -Protocol UDP -LocalPort 53\n" in text
    assert "-LocalAddress fd00::80\n" in text
    assert "ipv6" not in instructions(System.WINDOWS, both[:1], "", render)


def test_freebsd() -> None:
    both = (prepared(VIP, Method.LOOPBACK, None, HTTP), prepared(VIP6))
    text = instructions(System.FREEBSD, both, "vtnet0", render)
    assert "ifconfig lo0 inet 10.0.0.80/32 alias\n" in text
    assert "ifconfig lo0 inet6 fd00::80 prefixlen 128 alias deprecated\n" in text
    assert 'sysrc ifconfig_lo0_aliases="inet 10.0.0.80/32 inet6 fd00::80 prefixlen 128 deprecated"\n' in text
    assert "pass in quick on vtnet0 inet proto tcp to 10.0.0.80 port 80\n" in text
    assert "pass in quick on vtnet0 inet6 to fd00::80\n" in text
    assert "log_arp_wrong_iface" not in instructions(System.FREEBSD, both[1:], "", render)


@pytest.mark.parametrize("system", System)
def test_other_systems_do_direct_server_return_by_the_loopback_alone(system: System) -> None:
    with pytest.raises(PlanRefused, match="comes through a tunnel"):
        instructions(system, (prepared(VIP, Method.LOOPBACK, GUE),), "", render)
    with pytest.raises(PlanRefused, match="method redirect is one of Linux"):
        instructions(system, (prepared(VIP, Method.REDIRECT),), "", render)


@pytest.mark.parametrize("system", System)
def test_instructions_leave_nothing_to_fill_in(system: System, tmp_path: Path) -> None:
    text = instructions(system, (prepared(VIP, Method.LOOPBACK, None, HTTP), prepared(VIP6)), "", render)
    assert not {"<", ">", "{", "}"} & set(text)
    assert max(map(len, text.splitlines())) <= 132
