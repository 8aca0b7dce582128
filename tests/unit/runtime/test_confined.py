"""Programs run as somebody, and leave nothing behind."""

import os
import pwd
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from kernelbal.model.program import ProgramSettings
from kernelbal.runtime.confined import FIRST_ID, Account, Accounts, arguments, end, why_refused

SETTINGS = ProgramSettings()
NOBODY = pwd.getpwnam("nobody")
HOSTILE = "setsid sh -c 'while :; do kill -9 -1; sleep 60 & done' & sleep 60"
"""Leaves its session, multiplies, and kills whatever it can."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def alive(uid: int) -> list[int]:
    """Processes of a user that have not ended; those that nobody has waited for yet have."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields["Uid"].split()[0] == str(uid) and fields["State"].split()[0] not in "ZX":
            found.append(int(fields["Pid"]))
    return found


def gone(uid: int, within_s: float = 5.0) -> bool:
    give_up_at = time.monotonic() + within_s
    while alive(uid):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.01)
    return True


def start(account: Account, *argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, **arguments(account, SETTINGS, 5))


def test_each_run_has_an_id_of_its_own_and_owners_never_share_one() -> None:
    accounts = Accounts()
    first = [accounts.take(None, owner) for owner in ("a", "a", "b")]
    assert len({account.uid for account in first}) == 3
    assert all(account.uid and FIRST_ID < account.uid < 2**31 for account in first)
    for account in first:
        accounts.give_back(account)
    again = {accounts.take(None, "c").uid for _ in range(60)}
    assert not again & {account.uid for account in first}


def test_an_unknown_user_is_refused() -> None:
    with pytest.raises(KeyError):
        Accounts().take("no-such-user", "a")


@needs_root
def test_a_hostile_run_hits_nobody_else_and_ends_with_all_it_started() -> None:
    accounts = Accounts()
    other, hostile = accounts.take(None, "a"), accounts.take(None, "a")
    assert hostile.uid is not None
    bystander = start(other, "/bin/sleep", "60")
    try:
        with start(hostile, "/bin/sh", "-c", HOSTILE) as process:
            assert process.wait(20) == -9, "what has left its session kills all it can"
            assert alive(hostile.uid)
            end(hostile, process.pid)
        assert gone(hostile.uid)
        assert bystander.poll() is None
        assert os.getresuid() == (0, 0, 0)
    finally:
        end(other, bystander.pid)
        assert bystander.wait(5) == -9


@needs_root
def test_who_may_signal_everybody_after_all_ends_the_group_alone() -> None:
    """In a pid namespace of its own: `kill(-1)` ends all that is in there."""
    scene = """
        import ctypes, subprocess
        from kernelbal.runtime.confined import Accounts, end
        from tests.unit.runtime.test_confined import start

        account = Accounts().take(None, "a")
        bystander, program = subprocess.Popen(["sleep", "60"]), start(account, "/bin/sleep", "60")
        assert ctypes.CDLL(None).prctl(28, 4, 0, 0, 0) == 0, "capabilities survive a change of the id"
        end(account, program.pid)
        assert program.wait(5) == -9
        assert bystander.poll() is None
        bystander.kill()
    """
    inside = ["sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", textwrap.dedent(scene)]
    subprocess.run(["unshare", "--pid", "--fork", "--kill-child", *inside], check=True, timeout=60)


@needs_root
def test_what_programs_of_a_named_user_leave_is_ended_when_none_runs() -> None:
    """In a process of its own, as its orphans would be those of the tests."""
    scene = """
        import os, subprocess, time
        from tests.unit.runtime.test_confined import SETTINGS, NOBODY, alive, gone, start
        from kernelbal.runtime.confined import Accounts, end

        accounts = Accounts()
        before = set(alive(NOBODY.pw_uid))
        first, second = accounts.take("nobody", "a"), accounts.take("nobody", "a")
        long = start(first, "/bin/sleep", "60")
        daemon = start(second, "/bin/sh", "-c", "setsid sh -c 'sleep 60 & sleep 60' & exit 0")
        daemon.wait()
        time.sleep(0.2)
        accounts.give_back(second)
        accounts.end_orphans()
        assert len(set(alive(NOBODY.pw_uid)) - before) >= 3, "one of that user still runs"
        end(first, long.pid)
        long.wait()
        accounts.give_back(first)
        for _ in range(50):
            accounts.end_orphans()
            time.sleep(0.02)
        assert set(alive(NOBODY.pw_uid)) <= before
        own = accounts.take(None, "a")
        with start(own, "/bin/sh", "-c", "setsid sleep 60 & exit 0") as daemon:
            end(own, daemon.pid)
        accounts.give_back(own)
        for _ in range(50):
            accounts.end_orphans()
            time.sleep(0.02)
        try:
            assert not os.waitpid(-1, os.WNOHANG), "a child is left"
        except ChildProcessError:
            pass
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(scene)], check=True, timeout=30)


@needs_root
def test_root_and_programs_that_others_can_write_are_refused(tmp_path: Path) -> None:
    program = tmp_path / "check"
    program.touch(0o755)
    me, nobody = Account(None, None), Account(NOBODY.pw_uid, NOBODY.pw_gid)
    allowed = ProgramSettings(allow_root=True, allow_writable=True)
    assert "would run as root" in why_refused(str(program), SETTINGS, me)
    assert why_refused(str(program), allowed, me) == ""
    assert why_refused(str(program), SETTINGS, nobody) == ""
    program.chmod(0o757)
    assert f"others can write {program}" in why_refused(str(program), SETTINGS, nobody)
    assert why_refused(str(program), allowed, nobody) == ""
    program.chmod(0o755)
    tmp_path.chmod(0o777)
    assert f"others can write {tmp_path}:" in why_refused(str(program), SETTINGS, nobody)
    tmp_path.chmod(0o1777)
    assert why_refused(str(program), SETTINGS, nobody) == "", "the sticky bit keeps others from replacing it"
    os.chown(program, NOBODY.pw_uid, -1)
    assert why_refused(str(program), SETTINGS, nobody) == "", "its own user may write it"
    assert "others can write" in why_refused(str(program), SETTINGS, Account(FIRST_ID + 1, FIRST_ID + 1, 1))
    os.chown(program, 0, pwd.getpwnam("root").pw_gid)
    program.chmod(0o775)
    assert why_refused(str(program), SETTINGS, nobody) == "", "a group without members lets nobody in"


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        why_refused("/no/such/program", SETTINGS, Account(FIRST_ID + 1, FIRST_ID + 1, 1))
