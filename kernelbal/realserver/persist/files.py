"""The files that bring a setup back at boot, for each of those who read such files.

ARP is silent before an address appears: sysctls are in `sysctl.d`, which is read before any network manager
starts, and the unit sets them itself before it adds an address. What only the unit can do (tunnel devices,
GUE ports, nftables) it does before the network comes up.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

from kernelbal.model.address import format_address
from kernelbal.model.network import AddressAttributes, AddressKey, Sysctl
from kernelbal.plan.nft_text import replacing
from kernelbal.realserver.commands import (
    address_command,
    kept_value,
    link_commands,
    listener_check,
    listener_command,
    sysctl_key,
)
from kernelbal.realserver.persist.manager import (
    INTERFACES_FILE,
    KEYFILE,
    MODULES_FILE,
    NETWORKD_DIRECTORY,
    NETWORKD_DROP_IN,
    NETWORKD_FILE,
    PROFILE,
    SYSCTL_FILE,
    TABLES_FILE,
    UNIT,
    UNIT_FILE,
    WANTED_FILE,
    Manager,
    Render,
)
from kernelbal.realserver.setup import LOOPBACK, Setup

Addresses = Mapping[AddressKey, AddressAttributes]

UNDO: Final = "kernelbal realserver undo"
PROFILE_UUID: Final = "6b2f6d1e-5c0f-5d9a-9a52-3d1d2c6c2f10"
"""Of our NetworkManager profile; the same on every host, since it is only unique within one."""
UNIT_TEMPLATE: Final = "realserver/kernelbal-realserver.service.j2"
_MARK: Final = "<filled in on the host>"
SYSTEMD_SYSCTL: Final = "/usr/lib/systemd/systemd-sysctl"


class Held(NamedTuple):
    """An address as templates see it."""

    address: str
    prefix: int
    no_dad: bool
    deprecated: bool


def files_for(
    setup: Setup,
    manager: Manager,
    render: Render,
    *,
    lo_network: str = "",
    values: Mapping[str, str | None] | None = None,
    undo: str = UNDO,
) -> dict[str, str]:
    """Return the text of every file by its path.

    Args:
        setup: what the kernel must hold after boot.
        manager: who reads the files.
        render: fills templates in.
        lo_network: the `.network` file that `lo` has already; systemd-networkd takes one file per device.
        values: sysctls as they are, so that values of an operator that do as well stay.
        undo: the command that takes the files away, which each of them names.
    """
    render = partial(render, undo=undo)
    if manager is Manager.NONE:
        return {}
    native = native_addresses(setup, manager)
    rest = {key: each for key, each in setup.addresses.items() if key not in native}
    files: dict[str, str] = {}
    if setup.sysctls:
        files[SYSCTL_FILE] = sysctl_text(setup.sysctls, render, values or {})
    if setup.modules:
        files[MODULES_FILE] = render("realserver/modules.conf.j2", modules=setup.modules)
    if setup.tables:
        files[TABLES_FILE] = render(
            "realserver/tables.nft.j2", tables="\n".join(map(replacing, setup.tables))
        )
    if native:
        path = {
            Manager.NETWORKD: networkd_path(lo_network),
            Manager.NETWORKMANAGER: KEYFILE,
            Manager.IFUPDOWN: INTERFACES_FILE,
        }[manager]
        files[path] = native_text(native, manager, render, whole=path == NETWORKD_FILE)
    if rest or setup.links or setup.listeners or setup.tables:
        files[UNIT_FILE] = unit_text(setup, rest, render)
        files[WANTED_FILE] = render("realserver/wanted.conf.j2", unit=UNIT)
    return files


def native_addresses(setup: Setup, manager: Manager) -> dict[AddressKey, AddressAttributes]:
    """Return the addresses that a manager brings up itself; the unit does the others.

    Only those of `lo`. None where an ARP table keeps them silent: they must stay away when it cannot be
    loaded. NetworkManager knows no preferred lifetime for addresses that are set, so with an IPv6 address
    among them it does none, and leaves alone what the unit has added.
    """
    if manager in (Manager.UNIT, Manager.NONE) or any(table.family == "arp" for table in setup.tables):
        return {}
    native = {key: each for key, each in setup.addresses.items() if key.device == LOOPBACK}
    if manager is Manager.NETWORKMANAGER and any(each.deprecated for each in native.values()):
        return {}
    return native


def networkd_path(lo_network: str) -> str:
    """Return where addresses of `lo` go: into a drop-in of the file that it has, else a file of our own."""
    if lo_network in ("", NETWORKD_FILE):
        return NETWORKD_FILE
    return f"{NETWORKD_DIRECTORY}/{lo_network.rpartition('/')[2]}.d/{NETWORKD_DROP_IN}"


_NATIVE: Final = {
    Manager.NETWORKD: "realserver/lo.network.j2",
    Manager.NETWORKMANAGER: "realserver/lo.nmconnection.j2",
    Manager.IFUPDOWN: "realserver/interfaces.j2",
}


def native_text(addresses: Addresses, manager: Manager, render: Render, *, whole: bool = True) -> str:
    """Return the file by which a manager adds addresses to `lo`.

    Args:
        addresses: what `native_addresses` returned.
        manager: one that has such files.
        render: fills templates in.
        whole: systemd-networkd: a file of its own and no drop-in.
    """
    return render(
        _NATIVE[manager], addresses=held(addresses), whole=whole, profile=PROFILE, uuid=PROFILE_UUID
    )


def held(addresses: Addresses) -> list[Held]:
    """Return addresses as templates see them."""
    return [
        Held(format_address(key.address), key.prefix, each.no_dad, each.deprecated)
        for key, each in addresses.items()
    ]


def sysctl_text(sysctls: tuple[Sysctl, ...], render: Render, values: Mapping[str, str | None]) -> str:
    """Return the lines of `sysctl.d(5)`, each below its reason."""
    by_reason: dict[str, list[str]] = {}
    for each in sysctls:
        line = f"{sysctl_key(each.path)} = {kept_value(each, values)}"
        by_reason.setdefault(each.reason, []).append(line)
    return render("realserver/sysctl.conf.j2", groups=by_reason.items())


def unit_text(setup: Setup, addresses: Addresses, render: Render) -> str:
    """Return the unit that does what no network manager can."""
    return render(
        UNIT_TEMPLATE,
        commands=tuple(unit_commands(setup, addresses)),
        silenced=[str(key) for key in addresses if format_address(key.address) in _silenced(setup)],
        tables=TABLES_FILE if setup.tables else "",
    )


def unit_template(render: Render, *, tables: bool, undo: str) -> str:
    """Return the unit of a script, which fills in `${starts}` and `${stops}` on the host.

    Args:
        render: fills templates in.
        tables: whether it loads nftables tables.
        undo: the command that takes it away.
    """
    text = render(
        UNIT_TEMPLATE,
        commands=(_MARK,),
        silenced=(_MARK,) if tables else (),
        tables=TABLES_FILE if tables else "",
        undo=undo,
    )
    return text.replace(f"ExecStart={_MARK}", "${starts}").replace(
        f"ExecStop=-ip address delete {_MARK}", "${stops}"
    )


def _silenced(setup: Setup) -> frozenset[str]:
    """Addresses that would be announced without the ARP table."""
    sets = [each for table in setup.tables if table.family == "arp" for each in table.sets]
    return frozenset(element[0] for each in sets for element in each.elements)


def unit_commands(setup: Setup, addresses: Addresses) -> list[str]:
    """Return the unit's commands in their order; a leading `-` lets one fail."""
    commands: list[str] = []
    for link in setup.links:
        create, up = link_commands(link)
        commands += [f"-{create}", up] if create else [up]
    for each in setup.listeners:
        commands.append(f'/bin/sh -c "{listener_check(each)} || {listener_command(each)}"')
    if setup.sysctls:
        commands.append(f"{SYSTEMD_SYSCTL} {SYSCTL_FILE}")
    if setup.tables:
        commands.append(f"nft -f {TABLES_FILE}")
    commands += [address_command(key, each) for key, each in addresses.items()]
    return commands
