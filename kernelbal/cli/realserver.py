"""`kernelbal realserver`: prepare this host to be a real server for direct server return or tunnels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli import realserver_script, realserver_verify
from kernelbal.cli.documents import STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.cli.realserver_boot import check_boot, choose_manager, files_at_boot
from kernelbal.cli.realserver_options import (
    FORWARDING_OPTION,
    INTERFACE_OPTION,
    METHOD_OPTION,
    MTU_OPTION,
    PERSIST_OPTION,
    PORT_OPTION,
    REAL_OPTION,
    TUNNEL_OPTION,
    TUNNEL_PORT_OPTION,
    VIRTUAL_ARGUMENT,
    Asked,
)
from kernelbal.cli.realserver_print import (
    PRINT_OPTION,
    SYSTEM_OPTION,
    print_format,
    print_instructions,
)
from kernelbal.model.choices import ForwardingName, TunnelTypeName
from kernelbal.realserver.persist.manager import Manager
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.printing import Format, System

if TYPE_CHECKING:
    from kernelbal.model.address import Address
    from kernelbal.realserver.run import HostReconciler, PreparedRun
    from kernelbal.realserver.setup import Record

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

PLAN_EPILOG = """Examples:

kernelbal realserver plan 10.0.0.80

kernelbal realserver plan 10.0.0.80 fd00::80 --forwarding tunnel --tunnel gre --json

kernelbal realserver plan 10.0.0.80 --print sysctl

kernelbal realserver plan 10.0.0.80 --os windows --real 10.0.0.11 --port 80"""
APPLY_EPILOG = """Examples:

kernelbal realserver apply 10.0.0.80 fd00::80 --port 80 --port 443

kernelbal realserver apply 10.0.0.80 --forwarding tunnel

kernelbal realserver apply 10.0.0.80 --method redirect --port 80:8080/tcp

kernelbal realserver apply 10.0.0.80 --interface eth1 --persist none   (gone after a reboot)"""
UNDO_EPILOG = """Examples:

kernelbal realserver undo --dry-run

kernelbal realserver undo 10.0.0.80   (the others stay)

kernelbal realserver undo"""

app.command(epilog=realserver_verify.EPILOG)(realserver_verify.verify)
app.command(epilog=realserver_script.EPILOG)(realserver_script.script)

UNDONE_ARGUMENT = typer.Argument(None, metavar="VIP", help="Which to undo; all by default.")
JSON_OPTION = typer.Option(False, "--json", help="Print one JSON document.")


@app.command(epilog=PLAN_EPILOG)
def plan(
    virtual: list[str] = VIRTUAL_ARGUMENT,
    forwarding: ForwardingName | None = FORWARDING_OPTION,
    method: Method | None = METHOD_OPTION,
    interface: list[str] = INTERFACE_OPTION,
    real: str = REAL_OPTION,
    port: list[str] = PORT_OPTION,
    tunnel: TunnelTypeName | None = TUNNEL_OPTION,
    tunnel_port: int = TUNNEL_PORT_OPTION,
    mtu: int = MTU_OPTION,
    persist: Manager | None = PERSIST_OPTION,
    printed: Format | None = PRINT_OPTION,
    system: System | None = SYSTEM_OPTION,
    state_dir: Path = STATE_OPTION,
    detailed_exitcode: bool = typer.Option(
        False, "--detailed-exitcode", help="Exit with 2 when there are changes."
    ),
    as_json: bool = JSON_OPTION,
) -> int:
    """Show what `apply` would change on this host.

    Without an address it shows how the host differs from what it was prepared for.
    """
    from kernelbal.cli.realserver_view import print_plan, put_plan

    asked = Asked(virtual, forwarding, method, interface, real, port, tunnel, tunnel_port, mtu)
    if system is not None:
        print_instructions(system, asked)
        return ExitCode.OK
    with _opened(state_dir) as server:
        if printed is not None:
            persist = Manager.NONE
        prepared = _prepare(server, asked, persist)
    if printed is not None:
        print_format(printed, prepared.preparations, prepared.host)
        return ExitCode.OK
    if as_json:
        put_plan(prepared)
    else:
        print_plan(prepared)
    return ExitCode.CHANGES if detailed_exitcode and prepared.plan.actions else ExitCode.OK


@app.command(epilog=APPLY_EPILOG)
def apply(
    virtual: list[str] = VIRTUAL_ARGUMENT,
    forwarding: ForwardingName | None = FORWARDING_OPTION,
    method: Method | None = METHOD_OPTION,
    interface: list[str] = INTERFACE_OPTION,
    real: str = REAL_OPTION,
    port: list[str] = PORT_OPTION,
    tunnel: TunnelTypeName | None = TUNNEL_OPTION,
    tunnel_port: int = TUNNEL_PORT_OPTION,
    mtu: int = MTU_OPTION,
    persist: Manager | None = PERSIST_OPTION,
    state_dir: Path = STATE_OPTION,
    as_json: bool = JSON_OPTION,
) -> int:
    """Prepare this host for virtual addresses, also after reboots.

    ARP is silenced before an address appears. Addresses that were prepared before stay; one that is named
    again is prepared anew. When a step fails, those before it are undone. A second run does nothing.
    Exits with 1 also when the next boot would not bring all of it back.
    """
    from kernelbal.cli.realserver_view import print_plan

    asked = Asked(virtual, forwarding, method, interface, real, port, tunnel, tunnel_port, mtu)
    with _opened(state_dir) as server, server.store.lock():
        prepared = _prepare(server, asked, persist)
        if not as_json:
            print_plan(prepared)
        return _perform(server, prepared, "apply", as_json=as_json)


@app.command(epilog=UNDO_EPILOG)
def undo(
    virtual: list[str] = UNDONE_ARGUMENT,
    dry_run: bool = typer.Option(False, "--dry-run", help="Print what would be done."),
    state_dir: Path = STATE_OPTION,
    as_json: bool = JSON_OPTION,
) -> int:
    """Undo what `apply` did, and only that.

    Sysctls and files get their former contents back, devices their former state.
    """
    from kernelbal.cli.realserver_view import print_plan, put_plan
    from kernelbal.realserver.host import read_host

    with _opened(state_dir) as server, server.store.lock():
        record = server.store.load_record()
        staying = tuple(
            each for each in record.preparations if virtual and each.virtual not in _named(virtual, record)
        )
        prepared = server.prepare(staying, record.persist, read_host(server.kernel), record)
        if dry_run and as_json:
            put_plan(prepared)
        elif not as_json:
            print_plan(prepared)
        return ExitCode.OK if dry_run else _perform(server, prepared, "undo", as_json=as_json)


@contextmanager
def _opened(state_dir: Path) -> Iterator[HostReconciler]:
    from kernelbal.realserver.host import LinuxHost
    from kernelbal.realserver.persist.programs import first_failure
    from kernelbal.realserver.run import HostReconciler
    from kernelbal.realserver.store import RecordStore

    with LinuxHost() as kernel:
        yield HostReconciler(kernel, RecordStore(state_dir), files_at_boot, first_failure)


def _prepare(server: HostReconciler, asked: Asked, persist: Manager | None) -> PreparedRun:
    from kernelbal.plan.kinds.addresses import ADDRESSES
    from kernelbal.realserver.host import read_host
    from kernelbal.realserver.resolve import resolve

    record = server.store.load_record()
    host = read_host(server.kernel)
    requests = asked.requests(at_boot=persist is not Manager.NONE)
    preparations = resolve(requests, record.preparations, host, record.owned.of(ADDRESSES))
    prepared = server.prepare(preparations, choose_manager(persist, preparations, record), host, record)
    if persist is not Manager.NONE:
        check_boot(prepared.files)
    return prepared


def _named(virtual: list[str], record: Record) -> frozenset[Address]:
    """Return the addresses to undo.

    Raises:
        PlanRefused: one of them was not prepared here.
    """
    from kernelbal.cli.realserver_options import address
    from kernelbal.errors import PlanRefused
    from kernelbal.model.address import format_address

    named = frozenset(address(text, "VIP") for text in virtual)
    known = {each.virtual for each in record.preparations}
    strange = sorted(format_address(each) for each in named - known)
    if strange:
        there = ", ".join(format_address(each) for each in sorted(known)) or "nothing"
        raise PlanRefused(
            f"{', '.join(strange)} was not prepared by kernelbal", f"on this host it prepared {there}"
        )
    return named


def _perform(server: HostReconciler, prepared: PreparedRun, command: str, *, as_json: bool) -> int:
    from kernelbal.cli.realserver_view import print_conclusion, put_outcomes

    report = server.perform(prepared)
    if as_json:
        put_outcomes(report, prepared)
    else:
        print_conclusion(report, prepared, command)
    return ExitCode.OK if report.done and report.comes_back else ExitCode.FAILED
