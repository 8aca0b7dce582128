"""`kernelbal realserver plan --print` and `--os`: a preparation for people who do it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kernelbal.cli.output import put
from kernelbal.realserver.printing import Format, System

if TYPE_CHECKING:
    from kernelbal.cli.realserver_options import Asked
    from kernelbal.realserver.preparation import Preparation
    from kernelbal.realserver.setup import HostState


PRINT_OPTION = typer.Option(
    None, "--print", help="Print configuration files to install yourself, instead of the plan."
)
SYSTEM_OPTION = typer.Option(
    None, "--os", help="Print what to do on a real server of this system; needs --real."
)


def print_format(wanted: Format, preparations: tuple[Preparation, ...], host: HostState) -> None:
    """Print a preparation of this host as configuration of another tool.

    Raises:
        PlanRefused: the tool has no words for it.
    """
    from kernelbal.realserver.printing import print_as
    from kernelbal.render import render

    put(print_as(wanted, preparations, host, render).rstrip("\n"))


def print_instructions(system: System, asked: Asked) -> None:
    """Print what to do on a real server of another system; nothing is looked up on this host.

    Raises:
        typer.BadParameter: no address, or no `--real`.
        PlanRefused: that system cannot do what is asked for.
    """
    from kernelbal.realserver.preparation import STANDARD_MTU_BYTES, Preparation
    from kernelbal.realserver.printing import instructions
    from kernelbal.render import render

    requests = asked.requests()
    if not requests:
        raise typer.BadParameter("name the virtual address", param_hint="VIP")
    if not asked.real:
        raise typer.BadParameter("name the real server's own address", param_hint="--real")
    preparations = tuple(
        Preparation(
            each.virtual,
            each.real or each.virtual,
            each.interfaces,
            each.method,
            each.tunnel,
            None,
            each.ports,
            each.mtu_bytes or STANDARD_MTU_BYTES,
        )
        for each in requests
    )
    interface = next(iter(asked.interface or ()), "")
    put(instructions(system, preparations, interface, render).rstrip("\n"))
