"""Checks by programs that behave and programs that do not."""

import os
import pwd
import time
from pathlib import Path

import pytest

from kernelbal.model.event import Topic
from kernelbal.model.health import Health, ProbeState, Timing
from kernelbal.model.site.check import ScriptCheck
from kernelbal.runtime.checker import script
from kernelbal.runtime.confined import MAX_DESCRIPTORS
from tests.unit.runtime.checker.desk import FAST, Desk, probe

ME = pwd.getpwuid(os.geteuid()).pw_name
SLOW = Timing(1.0, 2.0, 1, 1)
SHORT = Timing(1.0, 0.3, 1, 1)
PATIENT = Timing(3.0, 2.5, 1, 1)
"""Long enough for a shell to start others on a machine that is busy."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def shell(text: str, user: str | None = ME, **settings: int) -> ScriptCheck:
    return ScriptCheck.model_validate(
        {"argv": ["/bin/sh", "-c", text], "user": user, "allow_root": user == "root", **settings}
    )


def result(check: ScriptCheck, timing: Timing = SLOW) -> ProbeState:
    with Desk() as desk:
        return desk.result(probe(check, 80, timing=timing))


def wait_until_gone(pid: int) -> bool:
    """Whether a process ends soon; one that nobody has waited for yet has ended too."""
    give_up_at = time.monotonic() + 2
    while time.monotonic() < give_up_at:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_exit_status_0_is_good_and_any_other_is_not() -> None:
    assert result(shell("exit 0")).health is Health.UP
    state = result(shell("echo the queue is full >&2; exit 3"))
    assert state.health is Health.DOWN
    assert "3" in state.reason
    assert "the queue is full" in state.reason


def test_the_environment_is_clean_and_names_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the director")
    assert result(shell(f"env > {tmp_path}/env")).health is Health.UP
    found = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert found.keys() - {"PWD", "SHLVL", "_"} == {
        *("KERNELBAL_ADDRESS", "KERNELBAL_PORT", "KERNELBAL_SERVICE_ADDRESS"),
        *("PATH", "LANG"),
    }
    assert (found["KERNELBAL_ADDRESS"], found["KERNELBAL_PORT"]) == ("127.0.0.1", "80")


def test_arguments_do_not_pass_through_a_shell() -> None:
    check = ScriptCheck(argv=("/bin/test", "$(echo a)", "=", "a"), user=ME, allow_root=True)
    assert result(check).health is Health.DOWN


def test_a_program_that_hangs_is_ended() -> None:
    state = result(shell("sleep 60"), SHORT)
    assert state.health is Health.DOWN
    assert "0.3 s" in state.reason


def test_one_that_cannot_be_killed_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits for a dead file server; here the signal is lost."""
    monkeypatch.setattr(script, "end", lambda *_: None)
    stuck = probe(shell("exec sleep 2"), 80, key="stuck", timing=Timing(10.0, 0.3, 1, 1))
    other = probe(shell("exit 0"), 81, key="other", timing=FAST)
    with Desk() as desk:
        desk.send(stuck, other)
        desk.until(lambda: desk.states.get("stuck", ProbeState()).health is Health.DOWN)
        failed_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert failed_at - desk.states["stuck"].since_at < 1.0, "it is told at once"
        running = desk.checker.drivers.script.running
        assert any(run.task.key == "stuck" for run in list(running)), "it is not forgotten"
        desk.until(lambda: not any(run.task.key == "stuck" for run in list(running)))
        desk.until(lambda: (desk.states["other"].last_at or 0.0) > failed_at + 0.5)


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"trap '' TERM; sleep 60 & echo $! >> {pids}; (sleep 60 & echo $! >> {pids}; wait) & wait"
    result(shell(text), PATIENT)
    found = [int(line) for line in pids.read_text().split()]
    assert len(found) == 2
    assert all(wait_until_gone(pid) for pid in found)


def test_children_that_outlive_a_good_program_are_ended_too(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert result(shell(f"sleep 60 & echo $! > {pids}; exit 0")).health is Health.UP
    assert wait_until_gone(int(pids.read_text().split()[0]))


def test_endless_output_neither_blocks_nor_floods() -> None:
    began_at = time.monotonic()
    state = result(shell("yes >&2"), SHORT)
    assert state.health is Health.DOWN
    assert time.monotonic() - began_at < 2


def test_the_end_of_much_output_is_kept() -> None:
    state = result(shell("printf '%060000d\\nthe end' 1 >&2; exit 1"))
    assert "the end" in state.reason


@needs_root
def test_it_runs_as_its_user_without_other_groups() -> None:
    nobody = pwd.getpwnam("nobody")
    state = result(shell("id -u >&2; id -G | tr '\\n' ' ' >&2; exit 1", "nobody"))
    assert f'"{nobody.pw_gid}"' in state.reason
    state = result(shell("id -u >&2; exit 1", "nobody"))
    assert f'"{nobody.pw_uid}"' in state.reason


def test_it_has_limits() -> None:
    text = "echo $(ulimit -v) $(ulimit -n) $(ulimit -c) $(ulimit -t) >&2; exit 1"
    state = result(shell(text, memory_mib=64))
    assert f'"{64 * 1024} {MAX_DESCRIPTORS} 0 3"' in state.reason


def test_memory_is_limited() -> None:
    text = "x=a; while :; do x=$x$x; done"
    assert result(shell(text, memory_mib=32)).health is Health.DOWN


@needs_root
def test_a_fork_bomb_is_limited_and_ended(tmp_path: Path) -> None:
    """As a user of no other process, so that its limit on processes counts only these."""
    state = result(shell("b() { b | b & b; }; b", "games", processes=8), SHORT)
    assert state.health is Health.DOWN


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            ScriptCheck(argv=("/no/such/program",), user=ME, allow_root=True),
            "check script /no/such/program cannot be run",
        ),
        (
            ScriptCheck(argv=("/etc/passwd",), user=ME, allow_root=True),
            "check script /etc/passwd cannot be run",
        ),
        (shell("exit 0", "nosuchuser"), "there is no user `nosuchuser`"),
    ],
)
def test_a_program_that_cannot_be_started_is_reported_and_does_not_count(
    check: ScriptCheck, message: str
) -> None:
    with Desk() as desk:
        desk.send(probe(check))
        desk.until(lambda: bool(desk.states))
    assert desk.notices[0].topic is Topic.CHECKER_UNABLE
    assert desk.notices[0].message.startswith(message)
    state = desk.states["probe"]
    assert (state.health, state.unable) == (Health.UNKNOWN, desk.notices[0].message)


def test_each_cause_is_reported() -> None:
    gone = [ScriptCheck(argv=(f"/no/such/program{number}",), user=ME) for number in range(3)]
    with Desk() as desk:
        desk.send(*(probe(check, key=check.argv[0]) for check in gone))
        desk.until(lambda: len(desk.notices) == 3)
    assert {state.unable for state in desk.states.values()} == {notice.message for notice in desk.notices}


def test_a_program_that_comes_back_is_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    program = tmp_path / "program"
    with Desk() as desk:
        desk.send(probe(ScriptCheck(argv=(str(program),), user=ME, allow_root=True), timing=SLOW))
        desk.until(lambda: bool(desk.states))
        program.symlink_to("/bin/true")
        desk.until(lambda: desk.is_in("probe", Health.UP))
    assert desk.states["probe"].unable == ""


def test_only_so_many_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "RUNS", 1)
    with Desk() as desk:
        desk.send(*(probe(shell("sleep 0.2"), key=f"k{number}", timing=SLOW) for number in range(3)))
        desk.until(lambda: bool(desk.notices))
        assert len(desk.checker.drivers.script.running) <= 1
        assert desk.notices[0].topic is Topic.CHECKER_STARVED


def test_programs_end_with_the_checker(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with Desk() as desk:
        desk.send(probe(shell(f"echo $$ > {pids}; sleep 60"), timing=Timing(60, 60)))
        give_up_at = time.monotonic() + 5
        while not (pids.exists() and pids.read_text()) and time.monotonic() < give_up_at:
            time.sleep(0.01)
    assert wait_until_gone(int(pids.read_text()))
