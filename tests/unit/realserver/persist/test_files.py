"""Every file for every manager, method and family; the lab boots with them."""

import re
from itertools import product
from pathlib import Path

import pytest

from kernelbal.model.address import format_address
from kernelbal.realserver.persist.files import UNDO, files_for, native_addresses, networkd_path, unit_template
from kernelbal.realserver.persist.manager import (
    INTERFACES_FILE,
    KEYFILE,
    MODULES_FILE,
    NETWORKD_FILE,
    SYSCTL_FILE,
    TABLES_FILE,
    UNIT_FILE,
    WANTED_FILE,
    Manager,
)
from kernelbal.realserver.preparation import Encapsulation, Method, Preparation
from kernelbal.realserver.setup import Setup
from kernelbal.realserver.wanted import setup_for
from kernelbal.render import render
from tests.systemd import analyze
from tests.unit.realserver.samples import GRE, GUE, HTTP, IPIP, REAL, REAL6, VIP, VIP6, host, prepared

NATIVE = {
    Manager.NETWORKD: NETWORKD_FILE,
    Manager.NETWORKMANAGER: KEYFILE,
    Manager.IFUPDOWN: INTERFACES_FILE,
}
WRITING = [each for each in Manager if each is not Manager.NONE]
TUNNELS: tuple[Encapsulation | None, ...] = (None, IPIP, GRE, GUE)
EVERY = [
    pytest.param(
        manager,
        method,
        tunnel,
        virtual,
        real,
        id=f"{manager.value}-{method.value}-{tunnel}-{len(virtual)}in{len(real)}",
    )
    for manager, method, tunnel, virtual, real in product(
        WRITING, Method, TUNNELS, (VIP, VIP6), (REAL, REAL6)
    )
    if tunnel in (IPIP, GRE, GUE) or len(virtual) == len(real)
]
FIRST_COMMANDS = ("ip link", "/bin/sh -c", "/usr/lib/systemd/systemd-sysctl", "nft -f", "ip address replace")


def setup(*preparations: Preparation) -> Setup:
    return setup_for(preparations, host())


def written(manager: Manager, *preparations: Preparation) -> dict[str, str]:
    return files_for(setup(*preparations), manager, render)


def commands(unit: str) -> list[str]:
    return re.findall(r"^ExecStart=-?(.*)$", unit, re.MULTILINE)


@pytest.mark.parametrize(("manager", "method", "tunnel", "virtual", "real"), EVERY)
def test_everything_of_a_setup_is_in_the_files(
    manager: Manager,
    method: Method,
    tunnel: Encapsulation | None,
    virtual: bytes,
    real: bytes,
    tmp_path: Path,
) -> None:
    wanted = setup(prepared(virtual, method, tunnel, HTTP, real=real))
    files = files_for(wanted, manager, render)
    for sysctl in wanted.sysctls:
        assert f"{sysctl.path.replace('/', '.')} = {sysctl.value}\n" in files[SYSCTL_FILE]
        assert f"# {sysctl.reason}\n" in files[SYSCTL_FILE]
    for module in wanted.modules:
        assert f"\n{module}\n" in files[MODULES_FILE]
    for table in wanted.tables:
        assert f"\ntable {table.title} {{\n" in files[TABLES_FILE]
    started = commands(files.get(UNIT_FILE, ""))
    for link in wanted.links:
        assert f"ip link set {link.name} up" in started
    for listener in wanted.listeners:
        assert any(f"fou add port {listener.port} gue" in command for command in started)
    for key in wanted.addresses:
        text = f"{format_address(key.address)}/{key.prefix}"
        holders = [path for path, content in files.items() if text in content and path != TABLES_FILE]
        assert holders in ([UNIT_FILE], [NATIVE.get(manager)])
    places = [
        next(i for i, word in enumerate(FIRST_COMMANDS) if command.startswith(word)) for command in started
    ]
    assert places == sorted(places), "devices, listeners, sysctls, tables, addresses"
    assert all(text.startswith("# Made by kernelbal") and UNDO in text for text in files.values())
    assert (UNIT_FILE in files) == (WANTED_FILE in files)


def test_nothing_is_written_for_nobody() -> None:
    assert written(Manager.NONE, prepared()) == {}


def test_sysctls_and_a_file_of_the_manager_are_all_that_direct_server_return_needs() -> None:
    for manager, path in NATIVE.items():
        assert list(written(manager, prepared())) == [SYSCTL_FILE, path]
    assert list(written(Manager.UNIT, prepared())) == [SYSCTL_FILE, UNIT_FILE, WANTED_FILE]
    assert list(written(Manager.NETWORKD, prepared(VIP6))) == [NETWORKD_FILE]


def test_networkmanager_cannot_deprecate_an_address() -> None:
    assert KEYFILE not in written(Manager.NETWORKMANAGER, prepared(), prepared(VIP6))
    assert KEYFILE in written(Manager.NETWORKMANAGER, prepared())


def test_an_address_waits_for_the_table_that_keeps_it_silent() -> None:
    for manager in NATIVE:
        files = written(manager, prepared(method=Method.ARP))
        assert native_addresses(setup(prepared(method=Method.ARP)), manager) == {}
        assert list(files) == [TABLES_FILE, UNIT_FILE, WANTED_FILE]
        assert "ExecStop=-ip address delete 10.0.0.80/32 dev lo\n" in files[UNIT_FILE]
    assert "ExecStop" not in written(Manager.UNIT, prepared(method=Method.REDIRECT))[UNIT_FILE]


def test_a_unit_with_tables_follows_those_who_flush_them() -> None:
    follows = "PartOf=nftables.service\nReloadPropagatedFrom=nftables.service\n"
    assert follows in written(Manager.UNIT, prepared(method=Method.ARP))[UNIT_FILE]
    assert follows not in written(Manager.UNIT, prepared())[UNIT_FILE]


def test_networkd() -> None:
    text = written(Manager.NETWORKD, prepared(), prepared(VIP6))[NETWORKD_FILE]
    assert text.endswith(
        """\
[Match]
Name=lo

[Link]
RequiredForOnline=no

[Network]
LinkLocalAddressing=no

[Address]
Address=10.0.0.80/32

[Address]
Address=fd00::80/128
PreferredLifetime=0
DuplicateAddressDetection=none
"""
    )


@pytest.mark.parametrize(
    ("lo_network", "path"),
    [
        ("", NETWORKD_FILE),
        (NETWORKD_FILE, NETWORKD_FILE),
        (
            "/run/systemd/network/10-netplan-lo.network",
            "/etc/systemd/network/10-netplan-lo.network.d/kernelbal-realserver.conf",
        ),
    ],
)
def test_a_device_has_one_network_file(lo_network: str, path: str) -> None:
    assert networkd_path(lo_network) == path
    text = files_for(setup(prepared()), Manager.NETWORKD, render, lo_network=lo_network)[path]
    assert ("[Match]" in text) == (path == NETWORKD_FILE)


def test_networkmanager() -> None:
    text = written(Manager.NETWORKMANAGER, prepared())[KEYFILE]
    assert "[ipv4]\nmethod=manual\naddress1=127.0.0.1/8\naddress2=10.0.0.80/32\n" in text
    assert "[ipv6]\nmethod=manual\naddress1=::1/128\n" in text


def test_ifupdown() -> None:
    text = written(Manager.IFUPDOWN, prepared(), prepared(VIP6))[INTERFACES_FILE]
    assert "iface lo inet static\n    address 10.0.0.80/32\n" in text
    assert (
        "iface lo inet6 static\n    address fd00::80/128\n    preferred-lifetime 0\n    dad-attempts 0\n"
        in text
    )


def test_dots_of_a_device_and_values_of_an_operator_stay() -> None:
    wanted = setup(prepared(interfaces=("eth0.100",)))
    text = files_for(wanted, Manager.UNIT, render, values={"net/ipv4/conf/all/arp_ignore": "2"})[SYSCTL_FILE]
    assert "net.ipv4.conf.all.arp_ignore = 2\n" in text
    assert "net/ipv4/conf/eth0.100/arp_ignore = 1\n" in text


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("tunnel", [None, GUE])
def test_systemd_finds_nothing_wrong(method: Method, tunnel: Encapsulation | None, tmp_path: Path) -> None:
    unit = tmp_path / "kernelbal-realserver.service"
    unit.write_text(written(Manager.UNIT, prepared(VIP, method, tunnel, HTTP)).get(UNIT_FILE, ""))
    done = analyze(unit, "verify", "--man=no")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_script_fills_in_what_it_finds() -> None:
    text = unit_template(render, tables=True, undo="sh prepare.sh undo")
    assert "\n${starts}\n" in text
    assert "\n${stops}\n" in text
    assert "ExecReload=nft -f" in text
    assert "ExecReload" not in unit_template(render, tables=False, undo="sh prepare.sh undo")
