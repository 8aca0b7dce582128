"""A preparation in the words of other tools, for people who keep configuration by other means.

Each format is a function from what a host needs to text; nothing here looks at a host or changes one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, NamedTuple

from kernelbal.errors import PlanRefused
from kernelbal.model.address import Address, format_address
from kernelbal.model.ipvs import Protocol
from kernelbal.plan.nft_text import replacing
from kernelbal.realserver.commands import address_command, kept_value, sysctl_key
from kernelbal.realserver.desired import own_addresses, setup_for
from kernelbal.realserver.persist.files import files_for
from kernelbal.realserver.persist.manager import UNIT, UNIT_FILE, WANTED_FILE, Manager, Render
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.rules import Own, arptables_commands
from kernelbal.realserver.setup import LOOPBACK, HostState, Setup

NOTHING: Final = "# nothing: what is asked for needs none of this\n"


class Format(Enum):
    """What `--print` prints."""

    SYSCTL = "sysctl"
    IFCFG = "ifcfg"
    ARPTABLES = "arptables"
    NFT = "nft"
    NETWORKD = "networkd"
    NETWORKMANAGER = "networkmanager"
    IFUPDOWN = "ifupdown"
    UNIT = "unit"


class System(Enum):
    """Systems whose preparation is printed as instructions (`--os`)."""

    WINDOWS = "windows"
    FREEBSD = "freebsd"


class _Needs(NamedTuple):
    """What all formats are made from."""

    preparations: tuple[Preparation, ...]
    setup: Setup
    own: Own
    host: HostState
    render: Render


def print_as(wanted: Format, preparations: tuple[Preparation, ...], host: HostState, render: Render) -> str:
    """Return the text of a format.

    Args:
        wanted: which one.
        preparations: what the host is to serve.
        host: as it is; its routes and addresses decide what is needed.
        render: fills templates in.

    Raises:
        PlanRefused: the format has no words for what is asked for.
    """
    needs = _Needs(
        preparations, setup_for(preparations, host), own_addresses(preparations, host), host, render
    )
    return _WRITERS[wanted](needs) or NOTHING


def _sysctl(needs: _Needs) -> str:
    """Sorted by what they are for, as in the instructions that people know."""
    lines = sorted(
        needs.setup.sysctls, key=lambda each: [one.reason for one in needs.setup.sysctls].index(each.reason)
    )
    return "".join(f"{sysctl_key(each.path)} = {kept_value(each, needs.host.sysctls)}\n" for each in lines)


def _ifcfg(needs: _Needs) -> str:
    """Network scripts of the initscripts package know the devices and the addresses of `lo`, nothing else."""
    ipv4: list[str] = []
    ipv6: list[str] = []
    for key in needs.setup.addresses:
        if key.device != LOOPBACK:
            raise PlanRefused(
                f"network scripts cannot express {key.device}, which {format_address(key.address)} needs",
                f"--print {Format.UNIT.value} prints a unit of systemd that does it",
            )
        (ipv4 if len(key.address) == 4 else ipv6).append(format_address(key.address))
    if not ipv4 and not ipv6:
        return ""
    return needs.render("realserver/ifcfg.j2", ipv4=ipv4, ipv6=ipv6)


def _arptables(needs: _Needs) -> str:
    """IPv6 needs nothing of the kind: a neighbour only learns addresses of the device that it asks."""
    commands = arptables_commands(needs.preparations, needs.own)
    if not commands:
        return ""
    added = [
        address_command(key, each) for key, each in needs.setup.addresses.items() if len(key.address) == 4
    ]
    return needs.render("realserver/arptables.j2", commands=commands, addresses=added)


def _nft(needs: _Needs) -> str:
    return "\n".join(map(replacing, needs.setup.tables))


def _files(manager: Manager) -> Callable[[_Needs], str]:
    def write(needs: _Needs) -> str:
        files = files_for(needs.setup, manager, needs.render, values=needs.host.sysctls)
        return "\n".join(_titled(path, text) for path, text in files.items() if path != WANTED_FILE) + (
            f"\n# then: systemctl add-wants multi-user.target {UNIT}\n" if UNIT_FILE in files else ""
        )

    return write


def _titled(path: str, text: str) -> str:
    return f"# --- {path}\n{text}"


_WRITERS: Final[Mapping[Format, Callable[[_Needs], str]]] = {
    Format.SYSCTL: _sysctl,
    Format.IFCFG: _ifcfg,
    Format.ARPTABLES: _arptables,
    Format.NFT: _nft,
    Format.NETWORKD: _files(Manager.NETWORKD),
    Format.NETWORKMANAGER: _files(Manager.NETWORKMANAGER),
    Format.IFUPDOWN: _files(Manager.IFUPDOWN),
    Format.UNIT: _files(Manager.UNIT),
}


# --- other systems ---


class _Port(NamedTuple):
    """A port as instructions name it: `TCP`, 80."""

    protocol: str
    number: int


class _Virtual(NamedTuple):
    """A virtual address as instructions see it."""

    address: str
    version: int
    prefix: int
    ports: tuple[_Port, ...]


def instructions(
    system: System, preparations: tuple[Preparation, ...], interface: str, render: Render
) -> str:
    """Return what to do on a real server of another system.

    Args:
        system: which one.
        preparations: what it is to serve.
        interface: its network interface, as it names it; empty where that is not known.
        render: fills templates in.

    Raises:
        PlanRefused: it cannot unwrap tunnels, or the method is one of Linux.
    """
    for each in preparations:
        if each.tunnel is not None:
            raise PlanRefused(
                f"instructions for {system.value} are for direct server return alone, and "
                f"{format_address(each.virtual)} comes through a tunnel",
                "set `forwarding: dsr` for this service, or use a Linux real server",
            )
        if each.method is not Method.LOOPBACK:
            raise PlanRefused(
                f"method {each.method.value} is one of Linux", f"--method loopback for {system.value}"
            )
    virtual = [_virtual(each) for each in preparations]
    return render(
        f"realserver/{system.value}.txt.j2",
        virtual=virtual,
        interface=interface or {"windows": "Ethernet", "freebsd": "em0"}[system.value],
        versions=sorted({each.version for each in virtual}),
        real=sorted({format_address(Address(each.real)) for each in preparations}),
    )


def _virtual(each: Preparation) -> _Virtual:
    is_ipv6 = len(each.virtual) == 16
    ports = tuple(_Port(Protocol(port.protocol).name, port.port) for port in each.ports)
    return _Virtual(format_address(each.virtual), 6 if is_ipv6 else 4, 128 if is_ipv6 else 32, ports)
