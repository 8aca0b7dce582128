"""`kernelbal realserver script`: from the site document to what is typed, or run, on a real server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.choice import choice_option
from kernelbal.cli.documents import SITE_FILE
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.cli.realserver_options import METHOD_OPTION
from kernelbal.realserver.persist.manager import Manager
from kernelbal.realserver.preparation import Method

if TYPE_CHECKING:
    from kernelbal.model.address import Address
    from kernelbal.realserver.preparation import Preparation

EPILOG = """Examples:

kernelbal realserver script --site site.yaml --service web

kernelbal realserver script --site site.yaml --service web --shell > prepare.sh

scp prepare.sh 10.0.0.11: && ssh 10.0.0.11 sudo sh prepare.sh apply --boot"""


SITE_OPTION = typer.Option(SITE_FILE, "--site", help="The site document.", readable=False)
SERVICE_OPTION = typer.Option(
    None, "--service", help="Virtual service; repeat for several. By default all that are dsr or tunnel."
)
SHELL_OPTION = typer.Option(
    False, "--shell", help="Print a shell script for hosts without Python, one for all real servers."
)
REAL_OPTION = typer.Option("", "--real", metavar="ADDRESS", help="Only for this real server.")
INTERFACE_OPTION = typer.Option(
    None, "--interface", help="Device of the real servers by which packets come in; found there by default."
)
MTU_OPTION = typer.Option(0, "--mtu", help="MTU of the path from the director.", show_default="1500")
PERSIST_OPTION = choice_option(
    "--persist",
    Manager,
    unset="auto",
    help="Who brings it back at boot, in the commands: `auto` by default; the script has --boot.",
)
JSON_OPTION = typer.Option(False, "--json", help="Print one JSON document.")
_DEVICE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")


def script(
    site: Path = SITE_OPTION,
    service: list[str] = SERVICE_OPTION,
    shell: bool = SHELL_OPTION,
    real: str = REAL_OPTION,
    method: Method | None = METHOD_OPTION,
    interface: list[str] = INTERFACE_OPTION,
    mtu: int = MTU_OPTION,
    persist: Manager | None = PERSIST_OPTION,
    as_json: bool = JSON_OPTION,
) -> int:
    """Print what to run on the real servers of a site.

    The exact commands by default; with --shell one script that needs no more than sh, ip and nft there. It
    finds its host's address in the site among its own, and knows `apply`, `verify` and `undo`.
    """
    from kernelbal.cli.documents import read_site
    from kernelbal.cli.output import put
    from kernelbal.realserver.from_site import prepared_by_site
    from kernelbal.realserver.preparation import STANDARD_MTU_BYTES
    from kernelbal.realserver.script import INTERFACE
    from kernelbal.realserver.script import script as shell_script
    from kernelbal.render import render

    names, interfaces = tuple(service or ()), _devices(interface)
    prepared = prepared_by_site(
        read_site(site),
        names,
        method=method or Method.LOOPBACK,
        interfaces=interfaces or (INTERFACE,),
        mtu_bytes=mtu or STANDARD_MTU_BYTES,
    )
    prepared = _only(real, prepared) if real else prepared
    if shell:
        title = ", ".join(f"`{name}`" for name in names) or "all virtual services that are dsr or tunnel"
        put(shell_script(prepared, title, render).rstrip("\n"))
    else:
        _put_commands(prepared, interfaces, persist, as_json=as_json)
    return ExitCode.OK


def _put_commands(
    prepared: dict[Address, tuple[Preparation, ...]],
    interfaces: tuple[str, ...],
    persist: Manager | None,
    *,
    as_json: bool,
) -> None:
    from kernelbal.cli.output import put, put_json
    from kernelbal.model.address import format_address
    from kernelbal.realserver.from_site import command_lines

    named = persist.value if persist else ""
    commands = {
        format_address(real): command_lines(each, interfaces, named) for real, each in prepared.items()
    }
    if as_json:
        put_json(
            {"real_servers": [{"address": real, "commands": [*each]} for real, each in commands.items()]}
        )
        return
    for real, lines in commands.items():
        put(f"# on {real}")
        for line in lines:
            put(line)


def _devices(given: list[str] | None) -> tuple[str, ...]:
    """Return names of devices, which become part of a script.

    Raises:
        typer.BadParameter: one of them is none.
    """
    for name in given or ():
        if not _DEVICE.fullmatch(name):
            raise typer.BadParameter(f"`{name}` is no name of a device", param_hint="--interface")
    return tuple(given or ())


def _only(
    real: str, prepared: dict[Address, tuple[Preparation, ...]]
) -> dict[Address, tuple[Preparation, ...]]:
    from kernelbal.cli.realserver_options import address
    from kernelbal.errors import PlanRefused
    from kernelbal.model.address import format_address

    wanted = address(real, "--real")
    if wanted not in prepared:
        known = ", ".join(map(format_address, prepared))
        raise PlanRefused(f"{real} is no real server of these services", f"they have {known}")
    return {wanted: prepared[wanted]}
