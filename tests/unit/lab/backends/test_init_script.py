"""The script that a guest boots."""

import subprocess
from pathlib import Path

import pytest

from kernelbal.lab.backends.base import GuestCommand
from kernelbal.lab.backends.init_script import Machine, render_init

MACHINE = Machine(share="mount -t hostfs", stdout="/dev/tty1", stderr="/dev/tty2")
EXCHANGE = Path("/var/lab-exchange")


def script(command: GuestCommand, machine: Machine = MACHINE) -> str:
    return render_init(command, machine, EXCHANGE, size=(50, 132))


def command(*argv: str, cwd: Path = Path("/srv"), results: Path | None = None) -> GuestCommand:
    return GuestCommand(argv, cwd, env={"GREETING": "it's me"}, results=results)


def lines(text: str) -> list[str]:
    return text.splitlines()


@pytest.mark.parametrize("interactive", [True, False])
def test_shell_can_parse_it(interactive: bool) -> None:
    text = script(GuestCommand(("sh", "-c", "echo 'a b'; exit 3"), Path("/a b"), interactive=interactive))
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_arguments_and_environment_are_quoted() -> None:
    text = script(command("sh", "-c", "echo $HOME; exit 3"))
    assert "exec sh -c 'echo $HOME; exit 3'" in text
    assert """export GREETING='it'"'"'s me'""" in text
    assert "export KERNELBAL_IN_LAB=1" in text


def test_streams_are_kept_apart() -> None:
    assert "</dev/null >/dev/tty1 2>/dev/tty2" in script(command("true"))


def test_exit_status_comes_back_by_file_before_power_off() -> None:
    text = lines(script(command("true")))
    status = text.index("echo $? >/run/lab/exit")
    assert text[status - 1].startswith("cd /srv && exec true)")
    assert text.index("sync") > status
    assert text.index("echo o >/proc/sysrq-trigger") > text.index("sync")


def test_nothing_runs_between_the_command_and_its_status() -> None:
    text = lines(script(command("true")))
    assert text[text.index("echo $? >/run/lab/exit") - 1].startswith("cd /srv && exec true)")


def test_directory_under_a_memory_mount_is_shared_again() -> None:
    text = lines(script(command("true", cwd=Path("/tmp/clone"))))
    assert text.index("share /tmp/clone /tmp/clone") > text.index("mount -t tmpfs -o mode=1777 tmpfs /tmp")


def test_directory_that_stays_visible_is_not_shared() -> None:
    assert "share /srv /srv" not in lines(script(command("true")))


def test_results_are_shared_at_the_same_path() -> None:
    assert "share /var/results /var/results" in lines(script(command("true", results=Path("/var/results"))))


def test_results_in_the_exchange_are_not_mounted_twice() -> None:
    text = lines(script(command("true", results=EXCHANGE)))
    assert f"mount --bind /run/lab {EXCHANGE}" in text
    assert f"share {EXCHANGE} {EXCHANGE}" not in text


def test_interactive_command_owns_its_terminal() -> None:
    machine = Machine(share=":", stdout="/dev/tty1", stderr="/dev/tty1")
    text = script(GuestCommand(("bash",), Path("/"), interactive=True), machine)
    assert "setsid --ctty --wait sh -c 'stty -F /dev/tty1 sane rows 50 cols 132; exec bash'" in text
    assert "</dev/tty1 >/dev/tty1 2>&1" in text
