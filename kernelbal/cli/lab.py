"""`kernelbal lab`: a whole site on this machine, to try things on a real kernel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kernelbal.cli import demo
from kernelbal.cli.output import put, put_json, say
from kernelbal.lab.names import BackendName

if TYPE_CHECKING:
    from kernelbal.lab.backends.base import Unavailable, Up
    from kernelbal.lab.topology import Topology

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command(epilog=demo.EPILOG)(demo.demo)

Topo = Annotated[str, typer.Option("--topology", help="two-arm or one-arm.")]
Back = Annotated[BackendName, typer.Option("--backend", help="What provides the kernel.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HostName = Annotated[str, typer.Argument(metavar="HOST", help="client, director, rs1, ...")]
PLAIN_ARGUMENTS = {"allow_interspersed_args": False, "ignore_unknown_options": True}
"""Everything behind the host belongs to the program, options too."""


@app.command(epilog="Example: kernelbal lab up --topology one-arm")
def up(topology: Topo = "two-arm", backend: Back = BackendName.AUTO) -> int:
    """Bring a lab up; it stays until `lab down`."""
    from kernelbal.lab import session
    from kernelbal.lab.backends.choose import choose
    from kernelbal.lab.topology import load_topology

    wanted = load_topology(topology)
    chosen = choose(backend)
    say(f"bringing up {topology} ({chosen.name}) ...")
    _describe(session.up(chosen, topology), wanted)
    return 0


def _describe(made: Up, topology: Topology) -> None:
    put(f"{made.topology} is up ({made.backend}, process {made.pid})")
    for host in topology.hosts:
        for link in host.links:
            addresses = " ".join(map(str, link.addresses))
            put(f"  {host.name:10} {link.device:5} {link.switch:8} {addresses}")
    say("next: kernelbal lab shell director, kernelbal lab run client -- curl -s 10.0.0.11")


@app.command(epilog="Example: kernelbal lab down")
def down() -> int:
    """Take the lab down and remove everything of it."""
    from kernelbal.lab import session

    gone = session.down()
    say(f"{gone.topology} is down")
    return 0


@app.command(epilog="Example: kernelbal lab shell rs1")
def shell(host: HostName = "director") -> int:
    """Open a shell on a host of the lab that is up."""
    from kernelbal.lab import session
    from kernelbal.lab.backends.base import StandardStreams

    argv = ["bash", "--noprofile", "--norc"] if Path("/bin/bash").exists() else ["sh"]
    return session.run(host, argv, StandardStreams(), terminal=True)


@app.command(
    context_settings=PLAIN_ARGUMENTS, epilog="Example: kernelbal lab run client -- curl -s http://10.0.0.11"
)
def run(
    host: HostName,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="Program and arguments.")],
) -> int:
    """Run a program on a host of the lab that is up.

    Exits as the program does.
    """
    from kernelbal.lab import session
    from kernelbal.lab.backends.base import StandardStreams

    argv = command[1:] if command[0] == "--" else command
    if not argv:
        raise typer.BadParameter("no program given")
    return session.run(host, argv, StandardStreams(), terminal=False)


@app.command(epilog="Example: KERNELBAL_LAB_KERNEL=$(kernelbal lab kernel) make test")
def kernel() -> int:
    """Print where the lab kernel is, built if need be.

    Building takes about 8 minutes, once.
    """
    from kernelbal.lab.kernel_build import build_kernel
    from kernelbal.lab.kernel_cache import find_kernel
    from kernelbal.lab.progress import Progress

    put(str(find_kernel() or build_kernel(Progress(sys.stderr))))
    return 0


@app.command(epilog="Example: kernelbal lab backends --json")
def backends(json: Json = False) -> int:
    """Show which back ends work here, and why others do not."""
    from kernelbal.lab.backends.choose import candidates

    found = candidates()
    if json:
        put_json({"backends": [_row(backend.name, refusal) for backend, refusal in found]})
        return 0
    for backend, refusal in found:
        put(f"{backend.name:6} {'usable' if refusal is None else f'not usable: {refusal}'}")
    return 0


def _row(name: str, refusal: Unavailable | None) -> dict[str, str | bool | None]:
    return {"name": name, "usable": refusal is None, "reason": str(refusal) if refusal else None}
