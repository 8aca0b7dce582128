"""The command `kernelbal`: one function per command, each in its own module.

Command modules import nothing heavy at module level, so that `--help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import typer
import typer.core

from kernelbal.cli import (
    apply,
    check,
    confirm,
    events,
    explain,
    plan,
    release,
    reload,
    schema,
    status,
)
from kernelbal.cli import run as daemon
from kernelbal.cli.exit_codes import MEANINGS, ExitCode, exit_code_of
from kernelbal.cli.output import print_error, say
from kernelbal.errors import KernelbalError

HELP = "One YAML document describes a load-balancing site; kernelbal makes the Linux kernel match it."
EPILOG = "Exit codes: " + ", ".join(f"{code:d} {meaning}" for code, meaning in MEANINGS.items()) + "."


class Command(NamedTuple):
    """A command and the examples under its help."""

    run: Callable[..., int]
    epilog: str


COMMANDS = (
    Command(check.check, check.EPILOG),
    Command(plan.plan, plan.EPILOG),
    Command(apply.apply, apply.EPILOG),
    Command(confirm.confirm, confirm.EPILOG),
    Command(confirm.rollback, confirm.ROLLBACK_EPILOG),
    Command(daemon.run, daemon.EPILOG),
    Command(status.status, status.EPILOG),
    Command(events.events, events.EPILOG),
    Command(reload.reload, reload.EPILOG),
    Command(explain.explain, explain.EPILOG),
    Command(release.release, release.EPILOG),
    Command(schema.schema, schema.EPILOG),
)


GROUPS = {
    "rs": "Drain, disable, enable and verify real servers.",
    "realserver": "Prepare this host as a real server (dsr, tunnel).",
    "ha": "Two directors with one address: what VRRP packets say.",
    "setup": "Prepare a machine for its role.",
    "lab": "Try a whole site on this machine, on a kernel with IPVS.",
}
"""Groups of commands, each in the module of its name, and what each is for."""


class Interrupted(Exception):
    """Ctrl-C, past typer, which would end without a word; the text says what that means."""


INTERRUPTED = {
    **dict.fromkeys(("apply", "release"), "interrupted; the next apply completes it"),
    "rs": "interrupted; the order stays in force",
}
"""What Ctrl-C leaves behind, by command; most only look, and leave nothing."""


ELSEWHERE = {
    **dict.fromkeys(("daemon", "start", "director"), "run"),
    **dict.fromkeys(("clear", "flush"), "release"),
    **dict.fromkeys(("show", "list", "stats", "health"), "status"),
    **dict.fromkeys(("server", "servers"), "rs"),
    **dict.fromkeys(("real-server", "real_server", "dsr"), "realserver"),
    **dict.fromkeys(("drain", "disable", "enable"), "rs {}"),
    **dict.fromkeys(("log", "logs"), "events"),
    **dict.fromkeys(("validate", "test", "configtest"), "check"),
    **dict.fromkeys(("diff", "dry-run"), "plan"),
    **dict.fromkeys(("install", "init"), "setup director"),
    **dict.fromkeys(("demo", "up", "shell"), "lab {}"),
}
"""Commands that people look for, and ours; `{}` is the word itself."""


class _Commands(typer.core.TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 (typer keeps the types of these to itself)
        ours = ELSEWHERE.get(args[0]) if args else None
        if ours is not None:
            ctx.fail(f"No such command '{args[0]}'. Did you mean 'kernelbal {ours.format(args[0])}'?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (typer keeps the types of these to itself)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted(INTERRUPTED.get(ctx.invoked_subcommand or "", "interrupted")) from error
        except BrokenPipeError as error:
            raise typer.Exit(ExitCode.FAILED) from error


def build(wanted: str | None = None) -> typer.Typer:
    """Return the application.

    Args:
        wanted: the group whose commands are asked for, if any; others come without theirs, which saves half
            of the time to start. None: every group with all of its commands.
    """
    app = typer.Typer(
        name="kernelbal",
        cls=_Commands,
        help=HELP,
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for command in COMMANDS:
        app.command(epilog=command.epilog)(command.run)
    for name, text in GROUPS.items():
        group = _group(name) if wanted in (None, name) else _closed_group()
        app.add_typer(group, name=name, help=text)
    return app


def _group(name: str) -> typer.Typer:
    app: typer.Typer = importlib.import_module(f"kernelbal.cli.{name}").app
    return app


def _closed_group() -> typer.Typer:
    """Stands for a group of which nobody wants more than its line in the list."""
    group = typer.Typer()
    group.callback()(_nothing)
    return group


def _nothing() -> None:
    pass


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"kernelbal {version('kernelbal')}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def show_usage_error(error: typer.exceptions.TyperException) -> None:
    """Print what was wrong with the command line; typer's own errors know the usage line."""
    show = getattr(error, "show", None)
    if show is None:
        say(error.format_message())
    else:
        show()


def main() -> None:
    """Run the command line and exit with its code."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has enough, as `head` does; the interpreter must not try to flush again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: list[str], app: typer.Typer | None = None) -> int:
    """Run a command line, by default ours; print errors that a user may see, and return the exit code."""
    try:
        first = next((each for each in arguments if not each.startswith("-")), "")
        result = (app or build(first))(args=arguments, standalone_mode=False)
    except typer.Abort:
        return ExitCode.FAILED
    except typer.exceptions.TyperException as error:
        show_usage_error(error)
        return ExitCode.USAGE
    except KernelbalError as error:
        print_error(error)
        return exit_code_of(error)
    except Interrupted as interrupted:
        say(str(interrupted))
        return ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001 (the last resort: a bug of our own, shown whole)
        import traceback

        say(traceback.format_exc())
        say("error: this is a bug in kernelbal; please report it with the lines above")
        return ExitCode.SOFTWARE
    return result if isinstance(result, int) else ExitCode.OK
