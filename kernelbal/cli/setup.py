"""`kernelbal setup`: prepare a machine for its role."""

from __future__ import annotations

from pathlib import Path

import typer

from kernelbal.cli.exit_codes import ExitCode

HINT = "run it as root, or name another directory with --root"
ROOT_OPTION = typer.Option(Path("/"), "--root", help="Write below this directory, such as an image's.")

app = typer.Typer(help="Prepare a machine for its role.", no_args_is_help=True, rich_markup_mode=None)

EPILOG = """Examples:

kernelbal setup director --dry-run

kernelbal setup director"""


@app.callback()
def _group() -> None:
    """Prepare a machine for its role."""


@app.command(epilog=EPILOG)
def director(
    dry_run: bool = typer.Option(False, "--dry-run", help="Print what would be written."),
    root: Path = ROOT_OPTION,
) -> int:
    """Load IPVS at boot, sized for this machine.

    Writes files for modprobe, so that the IPVS connection table fits the memory, and a first site and node
    document in /etc/kernelbal. A file that exists and differs is left alone, and named.
    """
    from kernelbal.cli.output import put, say

    for path, content in _files().items():
        target = root / path
        found = _read(target)
        if found is not None:
            put(f"= {target}" + ("" if found == content.encode() else "  (exists and differs; left alone)"))
            continue
        put(f"+ {target}")
        if not dry_run:
            _write(target, content)
    if not dry_run:
        say(f"next: edit {root / 'etc/kernelbal/site.yaml'} and node.yaml, then run `kernelbal plan`")
        say(
            "the connection table gets its size when ip_vs is loaded anew: reboot, or, without IPVS services,"
        )
        say("  modprobe --remove ip_vs && modprobe ip_vs")
    return ExitCode.OK


def _files() -> dict[str, str]:
    from socket import gethostname

    from kernelbal.kernel.boot import total_memory_bytes
    from kernelbal.kernel.modules import modprobe_text, modules_load_text, recommended_bits
    from kernelbal.render import render

    bits = recommended_bits(total_memory_bytes())
    outside, inside = _devices()
    name = gethostname().partition(".")[0]
    return {
        "etc/modprobe.d/kernelbal.conf": modprobe_text(bits),
        "etc/modules-load.d/kernelbal.conf": modules_load_text(("ip_vs",)),
        "etc/kernelbal/site.yaml": render("director/site.yaml.j2"),
        "etc/kernelbal/node.yaml": render("director/node.yaml.j2", name=name, outside=outside, inside=inside),
    }


def _devices() -> tuple[str, str]:
    """Return the likely outside and inside devices: where the default route leads, and another one."""
    from kernelbal.kernel.links import observe_links
    from kernelbal.kernel.routes import observe_routes
    from kernelbal.kernel.rtnetlink import RtNetlink

    with RtNetlink.open() as rtnetlink:
        links = observe_links(rtnetlink)
        routes = observe_routes(rtnetlink, links)
    names = [link.name for link in links if link.up and link.hardware_address and link.name != "lo"]
    default = [route.device for route in routes if route.prefix == 0 and route.device in names]
    outside = next(iter(default or names), "eth0")
    inside = next((name for name in names if name != outside), outside)
    return outside, inside


def _read(path: Path) -> bytes | None:
    """Return what a file holds, None when there is none."""
    from kernelbal.errors import FileUnreadable

    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileUnreadable(f"cannot read {path}: {error.strerror}", HINT) from error


def _write(path: Path, content: str) -> None:
    from kernelbal.errors import StateError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}", HINT) from error
