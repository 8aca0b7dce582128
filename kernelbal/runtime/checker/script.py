"""Script checks: a program without a shell, as another user, within limits, killed at its timeout.

All that a program starts ends with it, and it hurts no other one: see `kernelbal.runtime.confined`.
"""

from __future__ import annotations

import errno
import os
import select
import subprocess
import time
from typing import Final

from kernelbal.health.checks.script import MAX_OUTPUT_BYTES, environment, result_of, timed_out
from kernelbal.model.event import Topic
from kernelbal.model.site.check import ScriptCheck
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.reactor import ProbeRun, ProbeTask, Reactor
from kernelbal.runtime.checker.sockets import ProbeSetupError
from kernelbal.runtime.checker.wire import Notice
from kernelbal.runtime.confined import RUNS, Account, Accounts, arguments, end, why_refused

DEATH_MS: Final = 20
"""How long the loop waits for a killed program, in milliseconds; after that it is reaped when it ends."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_READ_BYTES: Final = 4096
_PIPE_BYTES: Final = 65536
"""All that a pipe holds (`PIPE_DEF_BUFFERS`, pipe(7)): what an ended program has left in it."""
_NOT_THAT_USER: Final = {
    errno.EPERM: "needs CAP_SETUID and CAP_SETGID: add them to the service",
    errno.EINVAL: "is impossible in this user namespace, which lacks the id: name a `user` that it has",
}


class ScriptRun(ProbeRun):
    """One running program."""

    __slots__ = ("_account", "_descriptor", "_driver", "_output", "_process", "_reactor", "_reading")

    def __init__(
        self, driver: ScriptDriver, task: ProbeTask, process: subprocess.Popen[bytes], account: Account
    ) -> None:
        super().__init__(task, driver.reactor.now)
        self._account = account
        self._driver = driver
        self._reactor = driver.reactor
        self._process = process
        self._output = b""
        self._descriptor = os.pidfd_open(process.pid)
        self._reading = -1 if process.stderr is None else process.stderr.fileno()
        os.set_blocking(self._reading, False)
        self._reactor.watch(self._descriptor, select.EPOLLIN, self._ended, self)
        self._reactor.watch(self._reading, select.EPOLLIN, lambda _mask: self._read(_READ_BYTES), self)

    def expire(self, now: float) -> None:
        """Fail at the timeout, and kill the session."""
        self.close()
        self._reactor.finish(self, timed_out(self.task.timing.timeout_s), None)

    def close(self) -> None:
        """Kill the program and everything that it has started."""
        end(self._account, self._process.pid)
        self._stop_reading()
        if _has_ended(self._descriptor):
            self._forget(0)
        else:
            self._reactor.rewatch(self._descriptor, select.EPOLLIN, self._forget, self)

    def _forget(self, _mask: int) -> None:
        """Reap the program."""
        self._process.wait()
        self._reactor.unwatch(self._descriptor)
        os.close(self._descriptor)
        self._driver.forget(self, self._account)

    def _read(self, limit: int) -> None:
        """Keep the end of its output, in small reads, so that it can neither block nor flood the loop."""
        try:
            data = os.read(self._reading, limit)
        except BlockingIOError:
            return
        if not data:
            self._stop_reading()
        self._output = (self._output + data)[-MAX_OUTPUT_BYTES:]

    def _stop_reading(self) -> None:
        if self._reading >= 0 and self._process.stderr is not None:
            self._reactor.unwatch(self._reading)
            self._process.stderr.close()
            self._reading = -1

    def _ended(self, _mask: int) -> None:
        if self._reading >= 0:
            self._read(_PIPE_BYTES)
        self.close()  # kills what is left of it before its number is free for others
        status = self._process.wait()
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._reactor.finish(self, result_of(status, self._output), now - self.started_at)


class ScriptDriver:
    """Starts programs.

    Attributes:
        running: those that run, and those that were killed but hang, as on a dead file server.
    """

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.running: set[ScriptRun] = set()
        self._accounts = Accounts()

    def forget(self, run: ScriptRun, account: Account) -> None:
        """Take note that a program is gone."""
        self.running.discard(run)
        self._accounts.give_back(account)
        self._accounts.end_orphans()

    def start(self, task: ProbeTask) -> None:
        """Start the program of a probe."""
        if len(self.running) >= RUNS:
            message = f"{RUNS} check scripts running: further ones skipped"
            self.reactor.skip(task, Notice(Topic.CHECKER_STARVED, message, "raise `interval`"))
            return
        check = task.probe.protocol
        if not isinstance(check, ScriptCheck):
            raise TypeError(f"{check} has no program")
        try:
            account = self._accounts.take(check.user, task.probe.target.host)
        except KeyError:
            message = f"there is no user `{check.user}` to run a check script as"
            self.reactor.skip(task, Notice(Topic.CHECKER_UNABLE, message, "correct `user`"))
            return
        try:
            run = self._run(check, task, account)
        except ProbeSetupError as error:
            self._accounts.give_back(account)
            self.reactor.skip(task, error.notice)
        except OSError as error:
            self._accounts.give_back(account)
            self._not_started(task, check, error)
        else:
            self.running.add(run)
            self.reactor.begin(run)

    def _run(self, check: ScriptCheck, task: ProbeTask, account: Account) -> ScriptRun:
        process = _spawn(check, task, account)
        try:
            return ScriptRun(self, task, process, account)
        except OSError:  # out of descriptors
            end(account, process.pid)
            process.communicate()
            raise

    def _not_started(self, task: ProbeTask, check: ScriptCheck, error: OSError) -> None:
        number = error.errno or 0
        if number in reasons.RESOURCE_ERRORS:
            self.reactor.starve(task, number)
            return
        message = f"check script {check.argv[0]} cannot be run: {error.strerror}"
        self.reactor.skip(task, Notice(Topic.CHECKER_UNABLE, message, "it must be an executable file"))


def _has_ended(descriptor: int) -> bool:
    """Return whether a killed program ends soon; one that hangs in the kernel does not."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(DEATH_MS))


def _spawn(check: ScriptCheck, task: ProbeTask, account: Account) -> subprocess.Popen[bytes]:
    """Start a program as its user.

    Raises:
        ProbeSetupError: this process may not become that user, or the program must not run.
        OSError: it cannot be started.
    """
    refusal = why_refused(check.argv[0], check, account)
    if refusal:
        raise ProbeSetupError(Notice(Topic.CHECKER_UNABLE, f"check script refused: {refusal}"))
    try:
        return subprocess.Popen(  # noqa: S603 - the site's own program and arguments, without a shell
            check.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": _PATH, "LANG": "C.UTF-8", **environment(task.probe.target)},
            **arguments(account, check, int(task.timing.timeout_s) + 1),
        )
    except subprocess.SubprocessError as error:
        raise ProbeSetupError(
            Notice(Topic.CHECKER_UNABLE, f"cannot set the limits of a check script: {error}")
        ) from error
    except OSError as error:
        # A file that may not be executed is EACCES; these two come from becoming another user.
        if account.uid is not None and error.errno in _NOT_THAT_USER:
            name = "a user of its own" if check.user is None else f"`{check.user}`"
            message = f"running a check script as {name} {_NOT_THAT_USER[error.errno]}"
            raise ProbeSetupError(Notice(Topic.CHECKER_UNABLE, message)) from error
        raise
