"""A shell script that prepares real servers without Python: `sh prepare.sh apply|verify|undo`.

One script is for all real servers of a site's services: it finds out which of their addresses are its host's,
and by which device packets come in. What is decided here is decided by the same functions as for
`kernelbal realserver apply`; what only the host knows are shell variables in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from kernelbal.errors import PlanRefused
from kernelbal.model.address import AF_INET6, Address, format_address
from kernelbal.model.network import AddressAttributes, AddressKey, ObservedAddress, Sysctl
from kernelbal.model.nft import NftRule, NftTable
from kernelbal.plan.nft_text import replacing
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.persist.files import unit_template
from kernelbal.realserver.persist.manager import (
    MODULES_FILE,
    SYSCTL_FILE,
    TABLES_FILE,
    UNIT,
    UNIT_FILE,
    WANTED_FILE,
    Render,
)
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.rules import NAMELESS
from kernelbal.realserver.setup import TABLE_NAME, HostState, Setup
from kernelbal.realserver.tunnels import DEVICES

INTERFACE: Final = "${interface}"
"""Stands for the device that has the real server's address."""
UNDO: Final = "sh prepare.sh undo"
STATE_DIRECTORY: Final = "/var/lib/kernelbal-realserver"
KERNELBAL_RECORD: Final = "/var/lib/kernelbal/realserver/record.json"
"""What `kernelbal realserver` keeps: two must not prepare one host."""


class Steps(NamedTuple):
    """What is done on some real servers.

    Attributes:
        reals: their addresses; what is done is the same for all of them.
        first: shell commands, up to what keeps ARP silent.
        addresses: shell commands that add addresses.
    """

    reals: tuple[str, ...]
    first: tuple[str, ...]
    addresses: tuple[str, ...]


def script(prepared: Mapping[Address, tuple[Preparation, ...]], title: str, render: Render) -> str:
    """Return the script.

    Args:
        prepared: preparations by the real server's address in the site.
        title: the services that it is for.
        render: fills templates in.

    Raises:
        PlanRefused: a real server needs something that only `kernelbal realserver` finds out.
    """
    setups = {real: _setup(real, preparations) for real, preparations in prepared.items()}
    tables = _skeletons(table for setup in setups.values() for table in setup.tables)
    groups = tuple(_grouped(prepared, setups))
    virtual = sorted({each.virtual for preparations in prepared.values() for each in preparations})
    return render(
        "realserver/script.sh.j2",
        title=title,
        virtual=[format_address(address) for address in virtual],
        tunnels=DEVICES,
        reals=[format_address(real) for real in prepared],
        groups=groups,
        tables=[(table.family, _variables(table), replacing(table)) for table in tables],
        sets=any(table.sets for table in tables),
        modules=any(setup.modules for setup in setups.values()),
        listeners=any(setup.listeners for setup in setups.values()),
        links=any(setup.links for setup in setups.values()),
        loose=any(each.replaces for setup in setups.values() for each in setup.sysctls),
        elsewhere=any(line.startswith("elsewhere ") for group in groups for line in group.first),
        mtu_bytes=next((each.mtu_bytes for every in prepared.values() for each in every if each.tunnel), 0),
        unit=UNIT,
        unit_text=unit_template(render, tables=bool(tables), undo=UNDO).replace("`", "\\`"),
        undo=UNDO,
        table_name=TABLE_NAME,
        state=STATE_DIRECTORY,
        kernelbal_record=KERNELBAL_RECORD,
        files={
            "sysctl": SYSCTL_FILE,
            "modules": MODULES_FILE,
            "tables": TABLES_FILE,
            "unit": UNIT_FILE,
            "wanted": WANTED_FILE,
        },
    )


def _setup(real: Address, preparations: tuple[Preparation, ...]) -> Setup:
    for each in preparations:
        if each.method is not Method.LOOPBACK and len(each.virtual) != len(real):
            raise PlanRefused(
                f"for method {each.method.value}, {format_address(real)} needs an address of the family of "
                f"{format_address(each.virtual)}, and the site names none",
                "on that host: kernelbal realserver apply, which finds it; or --method loopback",
            )
    devices = {name for each in preparations for name in each.interfaces}
    own = tuple(
        ObservedAddress(AddressKey(name, real, len(real) * 8), AddressAttributes(), ours=False)
        for name in sorted(devices)
    )
    return setup_for(preparations, HostState(addresses=own))


def _grouped(
    prepared: Mapping[Address, tuple[Preparation, ...]], setups: Mapping[Address, Setup]
) -> Iterator[Steps]:
    """Yield what is done, each once, with the real servers that it is the same for."""
    reals: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for real, preparations in prepared.items():
        steps = (_first(preparations, setups[real]), _addresses(setups[real]))
        reals.setdefault(steps, []).append(format_address(real))
    for (first, addresses), names in reals.items():
        yield Steps(tuple(names), first, addresses)


def _first(preparations: tuple[Preparation, ...], setup: Setup) -> tuple[str, ...]:
    lines = [f"module {name}" for name in setup.modules]
    if setup.links:
        lines.append("mtu")
    for link in setup.links:
        create = f' "type {link.kind} mode any local {format_address(link.local)}"' if link.local else ""
        lines.append(f"link {link.name}{create}")
    lines += [f"listener {each.port}{' -6' if each.family == AF_INET6 else ''}" for each in setup.listeners]
    lines += [_sysctl(each) for each in setup.sysctls]
    direct = {
        name
        for each in preparations
        if each.tunnel is None and len(each.virtual) == 4
        for name in each.interfaces
    }
    lines += [f'elsewhere "{name}"' for name in sorted(direct)]
    devices = {format_address(key.address): key.device for key in setup.addresses}
    for table in setup.tables:
        lines += [
            f"element {element[0]} {devices[element[0]]}" for each in table.sets for element in each.elements
        ]
        for chain in table.chains:
            for rule in chain.rules:
                if rule == NAMELESS:
                    lines.append("others")
                lines.append(f"rule {table.family}_{chain.name} {_quoted(rule.text)}")
    return tuple(lines)


def _sysctl(each: Sysctl) -> str:
    if each.replaces:
        return f'loose "{each.path}"'
    return " ".join([f'sysctl "{each.path}"', each.value, *each.also])


def _addresses(setup: Setup) -> tuple[str, ...]:
    lines = []
    for key, attributes in setup.addresses.items():
        flags = (" nodad" if attributes.no_dad else "") + (
            " preferred_lft 0" if attributes.deprecated else ""
        )
        lines.append(f"address {format_address(key.address)}/{key.prefix} {key.device}{flags}")
    return tuple(lines)


def _quoted(text: str) -> str:
    """Return a rule as a word of the shell in which our variable is filled in."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`") + '"'


def _variable(family: str, chain: str) -> str:
    return f"{family}_{chain}"


def _variables(table: NftTable) -> tuple[str, ...]:
    return tuple(_variable(table.family, chain.name) for chain in table.chains)


def _skeletons(tables: Iterable[NftTable]) -> tuple[NftTable, ...]:
    """Return each table once, with all chains, and variables of the shell for what is in them."""
    found: dict[str, NftTable] = {}
    for table in tables:
        known = found.get(table.title, table)
        chains = {chain.name: chain for chain in (*known.chains, *table.chains)}
        found[table.title] = table._replace(
            sets=tuple(each._replace(elements=(("${elements}",),)) for each in known.sets or table.sets),
            chains=tuple(
                chain._replace(rules=(NftRule("", f"${{{_variable(table.family, name)}}}"),))
                for name, chain in sorted(chains.items())
            ),
        )
    return tuple(found[title] for title in sorted(found))
