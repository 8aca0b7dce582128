"""The command line as a whole: what becomes of errors, and how fast it answers."""

import errno
import os
import re
import resource
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer

from kernelbal.cli import app
from kernelbal.cli.app import COMMANDS, run
from kernelbal.cli.exit_codes import MEANINGS, ExitCode
from kernelbal.errors import FileUnreadable, NotSupported
from kernelbal.store import documents
from tests.support.cli_harness import DirectorCli

HELP_SHARE = 2
"""Help may cost this many times what importing typer does."""
PROGRAM = [sys.executable, "-m", "kernelbal"]


def failing(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every command that reads a document fail."""

    def fail(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(documents, "read_document", fail)


# --- errors ---


def test_error_is_printed_with_its_hint_on_stderr(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(cli, monkeypatch, NotSupported("open", "ipvs", 2, "this kernel has no IPVS", "modprobe ip_vs"))
    assert cli.run("plan") == (
        ExitCode.UNAVAILABLE,
        "",
        "error: this kernel has no IPVS\n  hint: modprobe ip_vs\n",
    )


def test_error_without_a_hint_has_none(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(cli, monkeypatch, FileUnreadable("cannot read it"))
    assert cli.run("plan") == (ExitCode.NO_INPUT, "", "error: cannot read it\n")


def test_configuration_error_shows_every_problem(cli: DirectorCli) -> None:
    cli.write("virtual_services: [{name: web, portz: 80}]\nnetwork: {}\n")
    done = cli.run("plan")
    assert (done.code, done.out) == (ExitCode.CONFIG, "")
    for key in ("virtual_services[0].portz", "virtual_services[0].address", "network"):
        assert f" {key}: " in done.err
    assert re.search(r"^\d+ problems in the configuration\n$", done.err, re.MULTILINE)


@pytest.mark.parametrize(("word", "ours"), [("drain", "rs drain"), ("show", "status"), ("start", "run")])
def test_command_that_people_look_for_is_named(cli: DirectorCli, word: str, ours: str) -> None:
    done = cli.run(word, "rs1")
    assert done.code == ExitCode.USAGE
    assert done.err.endswith(f"No such command '{word}'. Did you mean 'kernelbal {ours}'?\n")


def test_commands_named_instead_are_there_and_hide_none() -> None:
    top = typer.main.get_group(app.build())
    for word, ours in app.ELSEWHERE.items():
        assert word not in top.commands
        group, _, rest = ours.format(word).partition(" ")
        assert not rest or rest in top.commands[group].commands  # type: ignore[attr-defined] # groups have them
        assert group in top.commands


def test_fault_of_ours_is_shown_whole(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(cli, monkeypatch, ZeroDivisionError("by zero"))
    done = cli.run("plan")
    assert (done.code, done.out) == (ExitCode.SOFTWARE, "")
    assert "Traceback" in done.err
    assert "ZeroDivisionError: by zero" in done.err
    assert done.err.endswith("error: this is a bug in kernelbal; please report it with the lines above\n")


def test_interrupt_says_what_becomes_of_the_rest(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(cli, monkeypatch, KeyboardInterrupt())
    assert cli.run("apply") == (130, "", "interrupted; the next apply completes it\n")


def test_interrupt_of_a_look_leaves_nothing_behind(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(cli, monkeypatch, KeyboardInterrupt())
    assert cli.run("plan") == (130, "", "interrupted\n")


def test_reader_that_went_away_is_no_fault(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(cli, monkeypatch, BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert cli.run("plan") == (ExitCode.FAILED, "", "")


# --- the command line itself ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["plan", "--nonsense"], "No such option: --nonsense"),
        (["apply", "--confirm"], "Option '--confirm' requires an argument"),
        (["plan", "a.yaml", "b.yaml"], "unexpected extra argument"),
    ],
)
def test_wrong_command_line_is_a_usage_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == ExitCode.USAGE
    assert "Usage:" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"kernelbal {version('kernelbal')}\n"


def help_of(capsys: pytest.CaptureFixture[str], *path: str) -> str:
    """What `--help` prints."""
    assert run([*path, "--help"]) == ExitCode.OK
    return capsys.readouterr().out


@pytest.mark.parametrize("path", [(), ("setup",), ("lab",)], ids=["kernelbal", "setup", "lab"])
def test_list_of_commands_fits_80_columns(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, _, commands = help_of(capsys, *path).partition("Commands:")
    assert commands
    assert "..." not in commands


def test_every_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(capsys)
    for command in COMMANDS:
        assert f"\n  {command.run.__name__} " in text


def test_help_names_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    words = " ".join(help_of(capsys).split())
    for code, meaning in MEANINGS.items():
        assert f"{code:d} {meaning}" in words


# --- as a program ---


def test_main_exits_with_the_code_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["kernelbal", "nonsense"])
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "examples/nat.yaml", "--node", "examples/node-two-arm.yaml"], ExitCode.OK),
        (["schema", "site"], ExitCode.FAILED),
    ],
    ids=["noticed at the end", "noticed in the middle"],
)
def test_output_that_nobody_reads_is_no_noise(words: list[str], code: int) -> None:
    """As in `kernelbal schema | true`, when `true` is faster; the site's schema fills the buffer."""
    reading, writing = os.pipe()
    os.close(reading)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [*PROGRAM, *words]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, env=env, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, b"")


def processor_s(*argv: str) -> float:
    """What a run of Python costs, in seconds of a processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *argv], capture_output=True, check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_answers_at_once() -> None:
    """By the best of five, and by what typer alone costs on this machine."""
    runs = [(processor_s("-m", "kernelbal", "--help"), processor_s("-c", "import typer")) for _ in range(5)]
    ours_s, typers_s = map(min, zip(*runs, strict=True))
    assert ours_s < HELP_SHARE * typers_s
