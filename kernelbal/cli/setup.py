"""`kernelbal setup`: prepare a machine for its role."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kernelbal.model.verification import RequirementResult
    from kernelbal.store.placed import FileStatus, PlacedFile

RUNNING = Path("/")
ROOT_OPTION = typer.Option(RUNNING, "--root", help="Write below this directory, such as an image's.")
PROGRAM_OPTION = typer.Option(
    None, "--program", help="Full path of `kernelbal` on that machine; by default the one that runs now."
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

EPILOG = """Examples:

kernelbal setup director --dry-run

kernelbal setup director

kernelbal setup director --enable   (once site.yaml and node.yaml are edited)

kernelbal setup director --root /mnt/image --program /opt/kernelbal/bin/kernelbal"""


@app.callback()
def _group() -> None:
    """Prepare a machine for its role."""


@app.command(epilog=EPILOG)
def director(
    dry_run: bool = typer.Option(False, "--dry-run", help="Print what would be written."),
    enable: bool = typer.Option(False, "--enable", help="Then start the daemon, now and at every boot."),
    force: bool = typer.Option(False, "--force", help="Replace edited files too, all but the documents."),
    root: Path = ROOT_OPTION,
    program: Path | None = PROGRAM_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Install the daemon's unit, load IPVS at boot, check the machine.

    Writes the unit, files for modprobe so that the IPVS connection table fits the memory, and a first site
    and node document in /etc/kernelbal. A later version replaces what nobody has edited. An edited file is
    left alone and named; --force replaces it and keeps the old one beside it. Documents are never replaced.
    """
    from kernelbal.store.placed import file_status

    _refuse_contradictions(root, enable=enable, dry_run=dry_run)
    program = program or _this_program()
    files = [(file, file_status(file)) for file in _files(root, program)]
    kept = {} if dry_run else _place(files, force=force)
    results = _check_machine(program) if root == RUNNING else ()
    if as_json:
        _print_json(files, kept, results, force=force)
    else:
        _print(files, kept, results, force=force)
    if enable:
        _enable(results)
    elif not (dry_run or as_json):
        _say_what_is_next(root)
    return _exit_code(results)


def _refuse_contradictions(root: Path, *, enable: bool, dry_run: bool) -> None:
    if enable and (root != RUNNING or dry_run):
        other = "--dry-run" if dry_run else "--root"
        raise typer.BadParameter(f"--enable starts the daemon here and now, {other} has no effect here")


def _this_program() -> Path:
    """Return the full path of the command that runs now, or the one that its environment has.

    Raises:
        FileUnreadable: there is none.
    """
    import shutil
    import sys

    from kernelbal.errors import FileUnreadable

    called = shutil.which(sys.argv[0])
    beside = Path(sys.prefix) / "bin/kernelbal"
    if called is not None and Path(called).name == "kernelbal":
        return Path(called).absolute()
    if beside.exists():
        return beside
    found = shutil.which("kernelbal")
    if found is None:
        raise FileUnreadable("there is no program `kernelbal` to start", "name it with --program")
    return Path(found).absolute()


def _files(root: Path, program: Path) -> list[PlacedFile]:
    from socket import gethostname

    from kernelbal.kernel.modules import modprobe_text, modules_load_text, recommended_bits
    from kernelbal.kernel.systemctl import UNIT
    from kernelbal.render import render, unit_text
    from kernelbal.store.boot import total_memory_bytes
    from kernelbal.store.placed import PlacedFile, stamped

    bits = recommended_bits(total_memory_bytes())
    outside, inside = _devices()
    name = gethostname().partition(".")[0]
    ours = {
        f"etc/systemd/system/{UNIT}": unit_text(UNIT, program),
        "etc/modprobe.d/kernelbal.conf": modprobe_text(bits),
        "etc/modules-load.d/kernelbal.conf": modules_load_text(("ip_vs",)),
    }
    documents = {
        "etc/kernelbal/site.yaml": render("director/site.yaml.j2"),
        "etc/kernelbal/node.yaml": render("director/node.yaml.j2", name=name, outside=outside, inside=inside),
    }
    return [
        *(PlacedFile(root / path, stamped(text)) for path, text in ours.items()),
        *(PlacedFile(root / path, text, document=True) for path, text in documents.items()),
    ]


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


def _check_machine(program: Path) -> tuple[RequirementResult, ...]:
    from kernelbal.kernel.machine import read_machine_facts
    from kernelbal.kernel.prerequisites import check_prerequisites

    return check_prerequisites(read_machine_facts(program))


def _sign(file: PlacedFile, found: FileStatus, *, force: bool) -> str:
    """Return `+` for a file that is written, `~` for one that is replaced, `=` for one that stays."""
    from kernelbal.store.placed import FileStatus

    replaced = found is FileStatus.OUTDATED or (found is FileStatus.EDITED and force and not file.document)
    return "+" if found is FileStatus.ABSENT else "~" if replaced else "="


def _place(files: list[tuple[PlacedFile, FileStatus]], *, force: bool) -> dict[Path, Path]:
    """Write what has to be written; return what edited files are called now."""
    from kernelbal.store.placed import FileStatus, place

    kept = {}
    for file, found in files:
        if _sign(file, found, force=force) != "=":
            old = place(file, keep_old=found is FileStatus.EDITED)
            if old is not None:
                kept[file.path] = old
    return kept


def _print(
    files: list[tuple[PlacedFile, FileStatus]],
    kept: dict[Path, Path],
    results: tuple[RequirementResult, ...],
    *,
    force: bool,
) -> None:
    from kernelbal.cli.output import put, say_labelled
    from kernelbal.model.verification import ResultStatus
    from kernelbal.store.placed import FileStatus

    for file, found in files:
        sign = _sign(file, found, force=force)
        remark = ""
        if file.path in kept:
            remark = f"  (the edited one is now {kept[file.path].name})"
        elif found is FileStatus.EDITED and sign == "=":
            remark = "  (exists and differs; left alone)"
        put(f"{sign} {file.path}{remark}")
    for result in results:
        label = "error" if result.status is ResultStatus.FAIL else "warning"
        say_labelled(label, result.message, result.fix)


def _print_json(
    files: list[tuple[PlacedFile, FileStatus]],
    kept: dict[Path, Path],
    results: tuple[RequirementResult, ...],
    *,
    force: bool,
) -> None:
    from kernelbal.cli.output import put_json
    from kernelbal.cli.verification_view import result_document

    put_json(
        {
            "files": [
                {
                    "path": str(file.path),
                    "sign": _sign(file, found, force=force),
                    "found": found.value,
                    "kept_as": str(kept[file.path]) if file.path in kept else None,
                }
                for file, found in files
            ],
            "results": [result_document(each) for each in results],
        }
    )


def _enable(results: tuple[RequirementResult, ...]) -> None:
    """Start the daemon, unless it could only fail.

    Raises:
        PlanRefused: the machine lacks something, or the site is still the example.
        FileUnreadable: a document cannot be read.
        ConfigError: a document is not valid.
        StateError: it does not start.
    """
    from kernelbal.cli.documents import NODE_FILE, SITE_FILE, read_node, read_site
    from kernelbal.cli.output import say
    from kernelbal.errors import PlanRefused
    from kernelbal.kernel.systemctl import UNIT, enable_now
    from kernelbal.model.verification import ResultStatus, status_of
    from kernelbal.render import render
    from kernelbal.store.documents import read_document

    if status_of(results) is ResultStatus.FAIL:
        raise PlanRefused("the daemon was not started, since it could not work", "see the errors above")
    if read_document(SITE_FILE, "site") == render("director/site.yaml.j2").encode():
        raise PlanRefused("the daemon was not started: the site is still the example", f"edit {SITE_FILE}")
    read_site(SITE_FILE)
    read_node(NODE_FILE)
    enable_now()
    say(f"{UNIT} runs, and starts at every boot; see `kernelbal status`")


def _say_what_is_next(root: Path) -> None:
    from kernelbal.cli.output import say

    say(f"next: edit {root / 'etc/kernelbal/site.yaml'} and node.yaml, and look: kernelbal plan")
    say("then: systemctl daemon-reload && systemctl enable --now kernelbal")
    say("      (`kernelbal setup director --enable` does both, and checks first)")


def _exit_code(results: tuple[RequirementResult, ...]) -> ExitCode:
    from kernelbal.model.verification import ResultStatus, status_of

    missing = status_of(results) is ResultStatus.FAIL
    return ExitCode.FAILED if missing else ExitCode.OK
