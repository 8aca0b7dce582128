"""The steps between a host as it is and one that serves its virtual addresses, and what is recorded of them.

On the way up ARP is silent before an address appears; on the way down an address goes before the silence.
What takes the place of something is there before that goes, so that a change of method turns no new
connection away. Only what the record names is ever taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kernelbal.model.address import format_address
from kernelbal.model.network import AddressKey
from kernelbal.model.nft import NftTable
from kernelbal.plan.actions import (
    AddAddress,
    CloseListener,
    EnsureLink,
    OpenListener,
    RemoveAddress,
    RemoveLink,
    ReplaceAddress,
    ReplaceTable,
    WriteSysctl,
)
from kernelbal.realserver.preparation import Preparation
from kernelbal.realserver.rules import same
from kernelbal.realserver.setup import TABLES, HostState, Record, Setup
from kernelbal.realserver.steps import RemoveFile, Step, WriteFile
from kernelbal.realserver.sysctls import inherited

UNMARKED = 0
RESTORED = "No longer needed; this was its value before."


def make_plan(setup: Setup, files: Mapping[str, str], host: HostState, record: Record) -> tuple[Step, ...]:
    """Return the steps in their order.

    Args:
        setup: what the kernel must hold.
        files: text by path of what brings it back at boot.
        host: as it is; with the files of `files` and of the record.
        record: what was done before.
    """
    leaving = _leaving_addresses(setup, host, record)
    silent = tuple(_still_silent(table, host, leaving) for table in setup.tables)
    return (
        *_links(setup, host),
        *(OpenListener(each) for each in setup.listeners if each not in host.listeners),
        *_sysctls(setup, host),
        *_tables(silent, host),
        *_addresses(setup, host, record),
        *leaving,
        *_tables_after(silent, setup.tables),
        *(
            WriteFile(path, host.files.get(path), text)
            for path, text in files.items()
            if host.files.get(path) != text
        ),
        *_release(setup, host, record),
        *(RemoveFile(path, before) for path, before in record.files.items() if path not in files),
    )


def _leaving_addresses(setup: Setup, host: HostState, record: Record) -> list[RemoveAddress]:
    present = {have.key for have in host.addresses}
    return [RemoveAddress(key) for key in sorted(record.addresses & present) if key not in setup.addresses]


def _still_silent(table: NftTable, host: HostState, leaving: list[RemoveAddress]) -> NftTable:
    """Return a table as it must be until addresses have left: their ARP silence ends after them."""
    present = next((each for each in host.tables if each.title == table.title), table)
    gone = {(format_address(step.key.address),) for step in leaving}
    kept = {each.name: gone.intersection(each.elements) for each in present.sets}
    sets = (
        each._replace(elements=tuple(sorted({*each.elements, *kept.get(each.name, ())})))
        for each in table.sets
    )
    return table._replace(sets=tuple(sets))


def _links(setup: Setup, host: HostState) -> list[Step]:
    up = {link.name for link in host.links if link.up}
    return [EnsureLink(link) for link in setup.links if link.name not in up]


def _sysctls(setup: Setup, host: HostState) -> list[Step]:
    return [
        WriteSysctl(each.path, host.sysctls.get(each.path) or "", each.value, each.reason)
        for each in setup.sysctls
        if not each.holds(host.sysctls)
    ]


def _tables(wanted: tuple[NftTable, ...], host: HostState) -> list[Step]:
    present = {table.title: table for table in host.tables}
    return [
        ReplaceTable(present.get(table.title), table)
        for table in wanted
        if table.title not in present or not same(present[table.title], table)
    ]


def _tables_after(before: tuple[NftTable, ...], wanted: tuple[NftTable, ...]) -> list[Step]:
    return [ReplaceTable(old, new) for old, new in zip(before, wanted, strict=True) if old != new]


def _addresses(setup: Setup, host: HostState, record: Record) -> list[Step]:
    present = {have.key: have for have in host.addresses}
    steps: list[Step] = []
    for key, attributes in setup.addresses.items():
        have = present.get(key)
        if have is None:
            steps.append(AddAddress(key, attributes, UNMARKED))
        elif key in record.addresses and have.attributes._replace(no_dad=attributes.no_dad) != attributes:
            steps.append(ReplaceAddress(key, have.attributes, attributes))
    return steps


def _release(setup: Setup, host: HostState, record: Record) -> list[Step]:
    kept_tables = {table.title for table in setup.tables}
    kept_sysctls = {each.path for each in setup.sysctls}
    kept_links = {link.name for link in setup.links}
    present = {table.title: table for table in host.tables}
    steps: list[Step] = [
        ReplaceTable(present[empty.title], empty)
        for empty in TABLES
        if empty.title in present and empty.title not in kept_tables
    ]
    for path, before in sorted(record.sysctls.items()):
        value = host.sysctls.get(path)
        if path not in kept_sysctls and value is not None and value.split() != before.split():
            steps.append(WriteSysctl(path, value, before, RESTORED))
    there = {link.name for link in host.links if link.up}
    steps += [RemoveLink(name) for name in sorted(record.links & there) if name not in kept_links]
    leaving = record.listeners & host.listeners
    steps += [CloseListener(each) for each in sorted(leaving) if each not in setup.listeners]
    return steps


def claim(
    record: Record,
    preparations: tuple[Preparation, ...],
    steps: tuple[Step, ...],
    host: HostState,
    persist: str,
) -> Record:
    """Return the record to write before the steps are performed: with all that they will do."""
    return replace(
        record,
        preparations=preparations,
        sysctls=_first_values(steps, host) | dict(record.sysctls),
        links=record.links | {step.link.name for step in steps if isinstance(step, EnsureLink)},
        addresses=record.addresses | _added(steps),
        listeners=record.listeners | {step.listener for step in steps if isinstance(step, OpenListener)},
        files={step.path: step.old for step in steps if isinstance(step, WriteFile)} | dict(record.files),
        tables=record.tables | {table.family for table in _made(steps)},
        persist=persist,
    )


def _first_values(steps: tuple[Step, ...], host: HostState) -> dict[str, str]:
    """That of a device that is not there yet is the one that it will start with, where that is known."""
    paths = [step.path for step in steps if isinstance(step, WriteSysctl)]
    values = {path: host.sysctls.get(path) or host.sysctls.get(inherited(path)) for path in paths}
    return {path: value for path, value in values.items() if value is not None}


def _added(steps: tuple[Step, ...]) -> set[AddressKey]:
    return {step.key for step in steps if isinstance(step, AddAddress)}


def _made(steps: tuple[Step, ...]) -> list[NftTable]:
    return [step.table for step in steps if isinstance(step, ReplaceTable) and not step.table.empty]


def settle(record: Record, setup: Setup, files: Mapping[str, str]) -> Record:
    """Return the record after all steps succeeded: with nothing that is no longer wanted."""
    paths = {each.path for each in setup.sysctls}
    links = {link.name for link in setup.links}
    return replace(
        record,
        sysctls={path: value for path, value in record.sysctls.items() if path in paths},
        links=record.links & links,
        addresses=record.addresses & setup.addresses.keys(),
        listeners=record.listeners & frozenset(setup.listeners),
        files={path: before for path, before in record.files.items() if path in files},
        tables=frozenset(table.family for table in setup.tables),
    )
