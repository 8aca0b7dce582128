"""`kernelbal realserver verify`: is this host prepared, and does a client get an answer?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.documents import STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.cli.realserver_options import (
    FORWARDING_OPTION,
    INTERFACE_OPTION,
    METHOD_OPTION,
    MTU_OPTION,
    PORT_OPTION,
    REAL_OPTION,
    TUNNEL_OPTION,
    TUNNEL_PORT_OPTION,
    Asked,
    address,
)
from kernelbal.model.choices import ForwardingName, TunnelTypeName
from kernelbal.realserver.preparation import Method

if TYPE_CHECKING:
    from kernelbal.kernel.interface import Kernel
    from kernelbal.model.address import Address
    from kernelbal.realserver.preparation import Preparation
    from kernelbal.realserver.setup import Record

EPILOG = """Examples:

kernelbal realserver verify

kernelbal realserver verify --client 192.0.2.7 --director 10.0.0.1

kernelbal realserver verify 10.0.0.80 --port 80 --json | jq '.addresses[].results[] | select(.fix)'

kernelbal realserver verify 10.0.0.80 --forwarding tunnel   (prepared by other means)"""

VERIFIED_ARGUMENT = typer.Argument(
    None, metavar="VIP", help="Which to verify; all that were prepared by default."
)
CLIENT_OPTION = typer.Option(
    None,
    "--client",
    metavar="ADDRESS",
    help="A client that is served; one per family. By default one that represents all remote clients.",
)
DIRECTOR_OPTION = typer.Option(
    "", "--director", metavar="ADDRESS", help="The director's own address: replies must not go there."
)
PROBE_OPTION = typer.Option(
    True, "--probe/--no-probe", help="Ask the host itself from a scratch namespace, or only read."
)


def verify(
    virtual: list[str] = VERIFIED_ARGUMENT,
    client: list[str] = CLIENT_OPTION,
    director: str = DIRECTOR_OPTION,
    probe: bool = PROBE_OPTION,
    port: list[str] = PORT_OPTION,
    forwarding: ForwardingName | None = FORWARDING_OPTION,
    method: Method | None = METHOD_OPTION,
    interface: list[str] = INTERFACE_OPTION,
    real: str = REAL_OPTION,
    tunnel: TunnelTypeName | None = TUNNEL_OPTION,
    tunnel_port: int = TUNNEL_PORT_OPTION,
    mtu: int = MTU_OPTION,
    state_dir: Path = STATE_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Verify each requirement of this real server: ok or FAIL, its value, and the fix.

    It also asks this host itself, as neighbours and clients would: for the virtual address by ARP, and for a
    connection to it. Nothing of that reaches the wire, and nothing stays behind. Exits with 1 when
    something fails. Addresses that were not prepared by kernelbal are described by the options of `apply`;
    those that were must have been prepared as the options say.
    """
    from kernelbal.cli.output import put_json
    from kernelbal.cli.verification_view import address_reports_document, print_address_reports
    from kernelbal.model.verification import ResultStatus, worst
    from kernelbal.realserver import host as linux
    from kernelbal.realserver.store import RecordStore
    from kernelbal.realserver.verify.gather import Outside, gather
    from kernelbal.realserver.verify.requirements import verify_addresses

    described = Asked(virtual, forwarding, method, interface, real, port, tunnel, tunnel_port, mtu)
    clients = tuple(address(text, "--client") for text in client or ())
    outside = Outside(clients, address(director, "--director") if director else None, probe)
    record = RecordStore(state_dir).load_record()
    with linux.LinuxHost() as kernel:
        preparations = _chosen(described, record, kernel)
        reports = verify_addresses(preparations, gather(kernel, preparations, outside))
    if as_json:
        put_json(address_reports_document(reports))
    else:
        print_address_reports(reports)
    failed = worst(each.status for report in reports for each in report.results) is ResultStatus.FAIL
    return ExitCode.FAILED if failed else ExitCode.OK


def _chosen(described: Asked, record: Record, kernel: Kernel) -> tuple[Preparation, ...]:
    """Return what to verify: as it was prepared; what was not, as it is described.

    Raises:
        PlanRefused: nothing was prepared or named, or what is described could not work.
    """
    from kernelbal.errors import PlanRefused

    if not described.virtual:
        if record.preparations:
            return tuple(_as_recorded(described, each) for each in record.preparations)
        hint = "name the address: `kernelbal realserver verify 10.0.0.80 --port 80`"
        raise PlanRefused("kernelbal has prepared nothing on this host", hint)
    known = {each.virtual: each for each in record.preparations}
    named = [address(text, "VIP") for text in described.virtual]
    others = _described(described, [each for each in named if each not in known], kernel)
    return tuple(_as_recorded(described, known[each]) if each in known else others[each] for each in named)


def _as_recorded(described: Asked, one: Preparation) -> Preparation:
    """Return what was prepared; ports that are named now stand for those that were recorded.

    Raises:
        PlanRefused: it was prepared otherwise than the options say.
    """
    from kernelbal.errors import PlanRefused
    from kernelbal.model.address import format_address
    from kernelbal.realserver.command_line import command_of

    asked = described.over(one)
    pairs = zip(_shown(one).items(), _shown(asked).values(), strict=True)
    differing = [f"{name} {now}, not {wanted}" for (name, now), wanted in pairs if now != wanted]
    if differing:
        virtual = format_address(one.virtual)
        raise PlanRefused(
            f"{virtual} was prepared otherwise than the options say: {'; '.join(differing)}",
            f"leave them out to verify it as it is, or prepare it anew: {command_of(asked)}",
        )
    return asked


def _shown(one: Preparation) -> dict[str, str]:
    """What options say of a preparation, by their names; ports aside, which may be named later."""
    from kernelbal.model.address import format_address

    return {
        "forwarding": f"tunnel {one.tunnel}" if one.tunnel else "dsr",
        "method": one.method.value,
        "interface": ", ".join(one.interfaces),
        "real": format_address(one.real),
        "mtu": str(one.mtu_bytes),
    }


def _described(described: Asked, virtual: list[Address], kernel: Kernel) -> dict[Address, Preparation]:
    """An address that the host has, wherever, is no reason to refuse: it is what is to be judged."""
    from kernelbal.cli.output import say
    from kernelbal.model.address import format_address
    from kernelbal.realserver.host import read_host
    from kernelbal.realserver.resolve import resolve

    if not virtual:
        return {}
    requests = [each for each in described.requests() if each.virtual in virtual]
    found = read_host(kernel)
    held = frozenset(key for key, *_ in found.addresses if key.address in virtual)
    prepared = resolve(requests, (), found, held)
    for each in prepared:
        say(f"{format_address(each.virtual)} was not prepared by kernelbal; verified as the options say")
    return {each.virtual: each for each in prepared}
