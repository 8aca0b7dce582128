"""`kernelbal realserver script`: from the site document to what is typed, or run, on a real server."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.documents import SITE_FILE
from kernelbal.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kernelbal.model.address import Address
    from kernelbal.realserver.preparation import Preparation

EPILOG = """Examples:

kernelbal realserver script --site site.yaml --service web

kernelbal realserver script --site site.yaml --service web --shell > prepare.sh

scp prepare.sh 10.0.0.11: && ssh 10.0.0.11 sudo sh prepare.sh apply --boot"""


class MethodName(Enum):
    """How the virtual address is accepted."""

    LOOPBACK = "loopback"
    ARP = "arp"
    REDIRECT = "redirect"


SITE_OPTION = typer.Option(SITE_FILE, "--site", help="The site document.", readable=False)
SERVICE_OPTION = typer.Option(
    None, "--service", help="Virtual service; repeat for several. By default all that are dsr or tunnel."
)
SHELL_OPTION = typer.Option(
    False, "--shell", help="Print a shell script for hosts without Python, one for all real servers."
)
REAL_OPTION = typer.Option("", "--real", metavar="ADDRESS", help="Only for this real server.")
METHOD_OPTION = typer.Option(
    MethodName.LOOPBACK, "--method", help="How the virtual address is accepted; see `realserver apply`."
)
INTERFACE_OPTION = typer.Option(
    None, "--interface", help="Device of the real servers by which packets come in; found there by default."
)
MTU_OPTION = typer.Option(0, "--mtu", help="MTU of the path from the director.", show_default="1500")
PERSIST_OPTION = typer.Option(
    "", "--persist", metavar="WHO", help="Name who brings it back at boot in the commands.", show_default=False
)


def script(
    site: Path = SITE_OPTION,
    service: list[str] = SERVICE_OPTION,
    shell: bool = SHELL_OPTION,
    real: str = REAL_OPTION,
    method: MethodName = METHOD_OPTION,
    interface: list[str] = INTERFACE_OPTION,
    mtu: int = MTU_OPTION,
    persist: str = PERSIST_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Print what to run on the real servers of a site.

    The exact commands by default; with --shell one script that needs no more than sh, ip and nft there. It
    finds its host's address in the site among its own, and knows `apply`, `verify` and `undo`.
    """
    from kernelbal.cli.documents import read_site
    from kernelbal.cli.output import put, put_json
    from kernelbal.model.address import format_address
    from kernelbal.realserver.from_site import command_line, prepared_by_site
    from kernelbal.realserver.preparation import STANDARD_MTU_BYTES, Method
    from kernelbal.realserver.script import INTERFACE
    from kernelbal.realserver.script import script as shell_script
    from kernelbal.render import render

    if shell and persist:
        raise typer.BadParameter("the script has --boot instead: sh prepare.sh apply --boot", param_hint="--persist")
    names, interfaces = tuple(service or ()), tuple(interface or ())
    prepared = prepared_by_site(
        read_site(site),
        names,
        method=Method(method.value),
        interfaces=interfaces or (INTERFACE,),
        mtu_bytes=mtu or STANDARD_MTU_BYTES,
    )
    prepared = _only(real, prepared) if real else prepared
    if shell:
        title = ", ".join(f"`{name}`" for name in names) or "all virtual services that are dsr or tunnel"
        put(shell_script(prepared, title, render).rstrip("\n"))
        return ExitCode.OK
    commands = {
        format_address(address): command_line(each, interfaces, persist) for address, each in prepared.items()
    }
    if as_json:
        put_json({"real_servers": [{"address": name, "commands": [*lines]} for name, lines in commands.items()]})
        return ExitCode.OK
    for name, lines in commands.items():
        put(f"# on {name}")
        for line in lines:
            put(line)
    return ExitCode.OK


def _only(
    real: str, prepared: dict[Address, tuple[Preparation, ...]]
) -> dict[Address, tuple[Preparation, ...]]:
    from kernelbal.errors import PlanRefused
    from kernelbal.model.address import format_address, parse_address

    try:
        address = parse_address(real)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--real") from error
    if address not in prepared:
        known = ", ".join(map(format_address, prepared))
        raise PlanRefused(f"{real} is no real server of these services", f"they have {known}")
    return {address: prepared[address]}
